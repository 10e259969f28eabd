/* fovea list: what can be chosen by name. */
#include <stdio.h>

#include "augment/augment.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "objectives/objective.h"
#include "train/optimizer.h"

static fov_status list(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count);

const fov_command fov_command_list = {
    .name = "list",
    .usage = "",
    .summary = "methods, backbones, view steps and optimizers by name",
    .details = "Prints every name that --method, --backbone, --views and --optimizer take.\n\n",
    .body = list,
};

static void heading(const char *text) { (void)printf("%s%s%s\n", fov_terminal_bold(), text, fov_terminal_plain()); }

static void print_all(void) {
    heading("Methods (--method)");
    for (size_t i = 0; fov_objective_at(i) != NULL; i++) {
        (void)printf("  %-14s %s\n", fov_objective_at(i)->name, fov_objective_at(i)->summary);
    }
    heading("Backbones (--backbone; a ViT takes its patch after a slash, vit_tiny/8)");
    for (size_t i = 0; fov_backbone_at(i) != NULL; i++) {
        (void)printf("  %-14s %s\n", fov_backbone_at(i)->name, fov_backbone_at(i)->summary);
    }
    heading("View steps (--views)");
    for (size_t i = 0; fov_augment_at(i) != NULL; i++) {
        (void)printf("  %-14s %s\n", fov_augment_at(i)->name, fov_augment_at(i)->summary);
    }
    heading("Optimizers (--optimizer)");
    for (size_t i = 0; fov_optimizer_at(i) != NULL; i++) {
        (void)printf("  %-14s %s\n", fov_optimizer_at(i)->name, fov_optimizer_at(i)->summary);
    }
}

static fov_status list(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count) {
    (void)fields, (void)common, (void)words, (void)word_count;
    print_all();
    return FOV_OK;
}
