/* Where a plan's memory is at its fullest, by what lies there, and what is computed again to keep it small. */
#include "graph/plan_internal.h"

static size_t alive_at(const fov_plan *plan, size_t s, size_t *by_kind) {
    size_t sum = 0;
    for (size_t i = 0; i < plan->piece_count; i++) {
        const fov_piece *piece = &plan->pieces[i];
        if (piece->first <= s && s <= piece->last) {
            by_kind[piece->kind] += piece->bytes;
            sum += piece->bytes;
        }
    }
    return sum;
}

static size_t fullest_step(const fov_plan *plan) {
    size_t best = 0, most = 0;
    for (size_t s = 0; s < plan->step_count; s++) {
        size_t unused[4] = {0};
        const size_t sum = alive_at(plan, s, unused);
        if (sum > most) {
            best = s;
            most = sum;
        }
    }
    return best;
}

void fov_plan_describe_memory(const fov_plan *plan, fov_text *text) {
    static const char *const names[] = {"values", "gradients", "kept for backward", "scratch"};
    size_t by_kind[4] = {0}, again = 0, again_bytes = 0, passes = 0;
    char bytes[32];
    if (plan->step_count == 0) {
        return;
    }
    const size_t s = fullest_step(plan);
    const fov_plan_step *step = &plan->steps[s];
    fov_format_bytes((double)alive_at(plan, s, by_kind), bytes, sizeof bytes);
    fov_text_printf(text, "peak: %s in step %zu (%s of %s%s%s):", bytes, s,
                    step->backward                ? "backward"
                    : step->again != FOV_DROP_NOT ? "again"
                                                  : "forward",
                    step->node->op->name, step->node->scope[0] != '\0' ? " " : "", step->node->scope);
    for (size_t k = 0; k < 4; k++) {
        fov_format_bytes((double)by_kind[k], bytes, sizeof bytes);
        fov_text_printf(text, "%s %s %s", k == 0 ? "" : ",", bytes, names[k]);
    }
    for (size_t i = 0; i < plan->step_count; i++) {
        passes += (plan->steps[i].first_done ? 1U : 0U) + (plan->steps[i].left_to != FOV_NO_STEP ? 1U : 0U);
        if (plan->steps[i].again != FOV_DROP_NOT) {
            again++;
            again_bytes += fov_node_bytes(plan->steps[i].node);
        }
    }
    fov_format_bytes((double)again_bytes, bytes, sizeof bytes);
    fov_text_printf(text,
                    "\nrecompute %s: %zu values of %s are computed again in backward\n%zu passes are run by the step before or after\n",
                    fov_recompute_names[plan->options.recompute], again, bytes, passes);
}
