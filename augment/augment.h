/* What a step of a recipe is, and what steps share. A step is one file that defines fov_augment_NAME and one line in augments.def.
 *
 * `draw` takes all random numbers and fills a plan; `apply` makes the picture from the plan alone. So a plan can be drawn before a
 * file is opened, and a test can write a plan by hand. */
#ifndef FOV_AUGMENT_AUGMENT_H
#define FOV_AUGMENT_AUGMENT_H

#include "augment/pixels.h"
#include "augment/recipe.h"

typedef struct fov_augment_param {
    const char *name;
    double min, max, fallback;  /* bounds are inclusive */
    const char *const *choices; /* NULL-terminated words for 0, 1, ...; NULL: a number */
    const char *word;           /* besides a number, this word may stand for FOV_PARAM_WORD; NULL: none */
    bool whole;                 /* only whole numbers */
} fov_augment_param;

#define FOV_PARAM_WORD (-1.0)

/* A resize: the box of the input, the size the box gets, and the window of that result that is made. The box is in pixels of the whole
 * picture, also where the image is a part of it or shrunk (its ends may then lie between pixels). */
typedef struct fov_resize {
    size_t left, top, width, height;                             /* box of the input */
    size_t out_width, out_height;                                /* size the whole box is resized to */
    size_t window_left, window_top, window_width, window_height; /* part of it that is computed */
    fov_interpolation interpolation;
    bool mirror; /* left-right flip of the window */
} fov_resize;

#define FOV_PLAN_VALUES 4

typedef struct fov_augment_plan {
    bool applies;                   /* false: the picture passes unchanged; the rest is not used */
    fov_resize resize;              /* crop, resize */
    double value[FOV_PLAN_VALUES];  /* by step, see its file */
    uint8_t order[FOV_PLAN_VALUES]; /* jitter: operations in the order of application, `order_count` of them */
    size_t order_count;
} fov_augment_plan;

/* Pixels that a step can work on; it gives the same kind. */
typedef enum fov_augment_pixels {
    FOV_PIXELS_RGB,   /* 3 channels of 8 bits */
    FOV_PIXELS_BYTES, /* any channels of 8 bits */
    FOV_PIXELS_ANY,   /* any channels of 8 or 16 bits */
} fov_augment_pixels;

struct fov_augment {
    const char *name, *summary; /* summary: one line, lower case, no full stop */
    fov_augment_pixels pixels;
    const fov_augment_param *params;
    size_t param_count;
    size_t shown_count; /* parameters always written out; the rest only when they differ from the fallback */
    bool first;         /* opens a view: takes a picture of any size to image_size x image_size, which stands first in its text */
    bool mixes;   /* mixes pictures of a batch: `draw` is called once a batch and `apply` never, see augment/mix.h; last in its view */
    bool mirrors; /* is a left-right flip, which a resize just before it does on the way */
    const char *(*check)(const double *param); /* what is wrong with values that are each in bounds, or NULL; may be NULL */
    /* width, height: of the picture the step will see. `applies` is false on entry. */
    void (*draw)(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan);
    /* Writes the picture to `output`, apart from the input: the window's size for a first step, the input's size otherwise. */
    fov_status (*apply)(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output);
};

/* `draw` of a step that has no other choice than whether it applies: with probability param[0]. */
void fov_draw_chance(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan);

const fov_augment *fov_augment_at(size_t index);               /* NULL past the end */
const fov_augment *fov_augment_named(const char *name);        /* NULL if there is none */
const char *fov_augment_nearest(const char *name, bool first); /* name of a step, among those that open a view or not; NULL if far */

/* Scratch by use; each grows to what was asked of it and is reused. Two uses that are live at once have two slots. */
typedef enum fov_scratch {
    FOV_SCRATCH_VIEW_A, /* pictures between steps */
    FOV_SCRATCH_VIEW_B,
    FOV_SCRATCH_PACKED,
    FOV_SCRATCH_LINE,   /* one padded row */
    FOV_SCRATCH_LAYER,  /* picture between the operations of one step */
    FOV_SCRATCH_AXIS_X, /* weights of a resize */
    FOV_SCRATCH_AXIS_Y,
    FOV_SCRATCH_ROWS, /* rows between the passes of a resize or a blur, and pointers to them */
    FOV_SCRATCH_POINTERS,
    FOV_SCRATCH_LANES, /* those four again for each further resize that is under way */
    FOV_LANE_SLOTS = FOV_SCRATCH_LANES - FOV_SCRATCH_AXIS_X,
    FOV_SCRATCH_COUNT = FOV_SCRATCH_LANES + FOV_LANE_SLOTS * (FOV_MAX_VIEWS - 1)
} fov_scratch;

/* What a resize from columns keeps. */
typedef struct fov_sideways {
    int32_t *sums; /* [open][sums_step], a column of the box of those outputs that are begun, which take turns */
    uint8_t *rows; /* [FOV_PACK_ROWS][row_step], of which `kept` are finished by the first pass and wait for the second */
    uint8_t *groups, *out;
    size_t samples, open, sums_step, kept, row_step, group_bytes;
    fov_filter_axis apart;
} fov_sideways;

/* A resize that is under way. */
typedef struct fov_resizer {
    const fov_pixel_loops *loops;
    uint8_t *output;
    size_t left, top, width, height; /* of the box on the frame, as its strips lie */
    size_t channels;
    bool deep, mirror, upward, by_columns;
    size_t plane; /* samples from one of a pixel's to the next; 1 unless rows are planes */
    fov_filter_axis x, y;
    size_t samples;     /* of an output row */
    uint8_t *ring;      /* groups of filtered rows, and one place more for what is of no group */
    size_t group_bytes; /* of one of them */
    size_t next;        /* group that goes into the ring next; SIZE_MAX: none. By columns: how many came */
    size_t made;        /* output rows, or columns */
    const void **group; /* those of one output */
    fov_sideways sideways;
} fov_resizer;

struct fov_augmenter {
    struct {
        void *bytes;
        size_t capacity;
    } scratch[FOV_SCRATCH_COUNT];
    const fov_pixel_loops *loops;
    fov_resizer resizer[FOV_MAX_VIEWS]; /* by lane */
    fov_augment_plan plan[FOV_MAX_VIEWS][FOV_MAX_STEPS];
};

/* count x size bytes, contents undefined; valid until the same slot is asked for again. NULL when out of memory. */
void *fov_augmenter_scratch(fov_augmenter *augmenter, fov_scratch slot, size_t count, size_t size);

/* Pillow's antialiased resize of the box, the box's edge being the picture's edge; of any channels and depth. output: window_width x
 * window_height pixels. Sides up to 2^20. */
FOV_MUST_USE fov_status fov_resize_apply(fov_augmenter *augmenter, const fov_image *image, const fov_resize *resize, uint8_t *output);
/* The same from strips (fov_decoder_read_strips; sideways ones have 8 bits): `begin` with the first one, which tells size and direction,
 * then `feed` with each of them. The strips together hold the box; the output is there after the one that holds its last row. One resize a
 * lane (below FOV_MAX_VIEWS); lane 0 is also that of fov_resize_apply and its scratch that of other steps, so that these come when it is
 * done. */
FOV_MUST_USE fov_status fov_resize_begin(fov_augmenter *augmenter, size_t lane, const fov_strip *strip, const fov_resize *resize,
                                         uint8_t *output);
void fov_resize_feed(fov_augmenter *augmenter, size_t lane, const fov_image *strip);
/* Resize of the whole picture so that its shorter side is `shorter` (the other truncated), then the central window of
 * window x window (torchvision's Resize and CenterCrop); shorter >= window > 0. */
void fov_resize_center(size_t width, size_t height, size_t shorter, size_t window, fov_interpolation interpolation, fov_resize *resize);

/* Index of a neighbour past an edge, mirrored without repeating the edge, for any index and size > 0. */
size_t fov_reflect(ptrdiff_t index, size_t size);

extern const char *const fov_interpolation_names[]; /* by fov_interpolation, NULL-terminated */

#endif
