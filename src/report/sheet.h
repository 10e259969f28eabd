/* A contact sheet: pictures and the views that training sees of them. */
#ifndef FOV_REPORT_SHEET_H
#define FOV_REPORT_SHEET_H

#include "augment/recipe.h"
#include "data/index.h"

typedef struct fov_sheet_options {
    const fov_recipe *recipe;
    fov_decode_options decode;
    bool shrink; /* as fov_loader_options.shrink */
    uint64_t seed, epoch;
    size_t pictures; /* rows, 1 or more: the first of the epoch's order; all there are if there are fewer */
    size_t draws;    /* 1 or more: views of so many epochs from `epoch` on, side by side */
} fov_sheet_options;

/* A row is a picture: the whole picture, on which the crops are framed, one colour for each view of the recipe; then its views, each in a
 * frame of its colour, pixel for pixel, or each pixel as `zoom` x `zoom` where views are small. */
typedef struct fov_sheet {
    uint8_t *pixels; /* [height, width, 3] */
    size_t width, height;
    size_t rows, draws, views, zoom;
    uint32_t *sample;                               /* [rows], the picture's number in the index */
    size_t left[FOV_MAX_VIEWS], top[FOV_MAX_VIEWS]; /* of the views of draw 0 in row 0 */
    size_t draw_step, row_step;                     /* from a draw or row to the next */
} fov_sheet;

/* The pixels of a view are those that fov_loader gives for (seed, epoch, sample). Of pictures with more than 3 channels the first 3 are
 * shown, of 2 channels the first; with 16 bits, the picture's largest sample becomes 255. FOV_E_LIMIT, with the numbers, if the sheet would
 * be too large; otherwise fails with what reading a picture fails with. The caller clears the sheet, also after a failure. */
FOV_MUST_USE fov_status fov_sheet_make(fov_sheet *sheet, const fov_index *index, const fov_sheet_options *options);
void fov_sheet_clear(fov_sheet *sheet);

/* Writes PNG or, to a name in .jpg or .jpeg, JPEG. */
extern const char *const fov_sheet_suffixes[]; /* NULL-terminated */
FOV_MUST_USE fov_status fov_sheet_write(const fov_sheet *sheet, const char *path);

#endif
