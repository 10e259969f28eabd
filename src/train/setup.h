/* From what the user said and what the pictures are to every setting of a run. */
#ifndef FOV_TRAIN_SETUP_H
#define FOV_TRAIN_SETUP_H

#include "train/optimizer.h"
#include "train/trainer.h"

typedef struct fov_setup {
    fov_option_set *options;          /* borrowed */
    fov_pretrain_settings *settings;  /* borrowed; complete after fov_setup_resolve */
    const fov_objective *objective;
    void *objective_options;          /* owned */
    fov_backbone_spec spec;           /* as the objective adjusted it */
    const fov_optimizer *optimizer;
    fov_train_facts facts;
    fov_train_defaults proposed;      /* what the objective proposes for these facts */
    fov_recipe recipe;
    size_t own_views;                 /* how many views of a picture the method itself makes */
    fov_preprocess preprocess;        /* for evaluation, stored with the weights; its format, alpha and group after fov_setup_begin */
    uint64_t steps, steps_per_epoch, warmup_steps;
} fov_setup;

/* Finds the method, adds its options, reads --config (and, with --resume, the run's own settings), and reports all unknown names. With
 * --resume, FOV_E_MISMATCH with a list when the user gave settings that the run has otherwise and that may not change. Nothing of the file
 * system is touched but those files. */
FOV_MUST_USE fov_status fov_setup_begin(fov_setup *setup, fov_option_set *options, fov_pretrain_settings *settings);
/* For settings that are refused already: adds to `said`, the message so far (may be ""), a line for a method that is unknown and for each name
 * that no table has, or not the method's, and raises all as FOV_E_INVALID. The set is of no use afterwards. */
FOV_MUST_USE fov_status fov_setup_refuse(fov_option_set *options, const fov_pretrain_settings *settings, const char *said);
void fov_setup_clear(fov_setup *setup);

/* Finds the pictures, as the settings say, and settles how they are decoded. */
FOV_MUST_USE fov_status fov_setup_scan(fov_setup *setup, const char *const *data, size_t data_count, const fov_train_observer *observer,
                                       fov_pool *pool, fov_index **index);
/* Chooses what was left open from the pictures, marks it as chosen, and checks that everything fits together. The observer is told of pictures
 * that are measured (--stats). */
FOV_MUST_USE fov_status fov_setup_resolve(fov_setup *setup, const fov_index *index, fov_pool *pool, const fov_train_observer *observer);
/* Only as far as the recipe goes, for looking at views: any recipe will do, and any number of pictures. */
FOV_MUST_USE fov_status fov_setup_resolve_preview(fov_setup *setup, const fov_index *index);
/* The parts of begin and resolve that are about the pictures' format: what the settings say goes into preprocess; what is left, sizes and perhaps
 * mean and std, follows from the pictures. */
FOV_MUST_USE fov_status fov_setup_take_format(fov_setup *setup);
FOV_MUST_USE fov_status fov_setup_resolve_statistics(fov_setup *setup, const fov_index *index, fov_pool *pool, const fov_train_observer *observer);
/* Its part about views: the objective's or the given recipe, a name expanded, fitted to the format; stored as it is used. With `training` the
 * method must be able to use it. */
FOV_MUST_USE fov_status fov_setup_resolve_views(fov_setup *setup, bool training);
/* Whether a recipe or its name stands for the views that a run was stored with. */
bool fov_setup_same_views(const char *given, const fov_pretrain_settings *stored);
/* With --hours: the epochs that fit, given the seconds that a step takes. Called between resolve and the first step. */
void fov_setup_fit_hours(fov_setup *setup, double seconds_per_step);
bool fov_setup_needs_timing(const fov_setup *setup);

#endif
