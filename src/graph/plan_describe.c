/* A plan as text: what each step computes, where its result lies, what it costs. */
#include <stdio.h>

#include "graph/plan_internal.h"

static fov_cost cost_of(const fov_node *node) {
    return node->op->cost != NULL ? node->op->cost(node) : (fov_cost){0};
}

fov_cost fov_plan_cost(const fov_plan *plan) {
    fov_cost sum = {0};
    for (size_t s = 0; s < plan->step_count; s++) {
        const fov_cost cost = cost_of(plan->steps[s].node);
        if (plan->steps[s].again != FOV_DROP_NOT) {
            continue; /* not part of what the step has to compute */
        }
        if (plan->steps[s].backward) {
            sum.backward_flops += cost.backward_flops;
            sum.backward_bytes += cost.backward_bytes;
        } else {
            sum.forward_flops += cost.forward_flops;
            sum.forward_bytes += cost.forward_bytes;
        }
    }
    return sum;
}

double fov_limit_seconds(const fov_limits *limits, double flops, double bytes) {
    const double computing = flops / limits->flops, moving = bytes / limits->bytes;
    return computing > moving ? computing : moving;
}

fov_step_info fov_plan_step_info(const fov_plan *plan, size_t step) {
    const fov_plan_step *s = &plan->steps[step];
    const fov_cost cost = cost_of(s->node);
    fov_step_info info = {.node = s->node,
                          .pass = s->backward                ? "backward"
                                  : s->again != FOV_DROP_NOT ? "again"
                                                             : "forward",
                          .flops = s->backward                  ? cost.backward_flops
                                   : s->again == FOV_DROP_AGAIN ? 0.0
                                                                : cost.forward_flops,
                          .bytes = s->backward ? cost.backward_bytes : cost.forward_bytes};
    const char *way = s->node->op->variant == NULL ? "" : s->node->op->variant(s->node);
    (void)snprintf(info.op, sizeof info.op, "%s%s%s", s->node->op->name, way[0] == '\0' ? "" : " ", way);
    if (plan->timed && plan->ran) {
        info.seconds = s->microseconds * 1e-6;
    }
    return info;
}

static void describe_step(const fov_plan *plan, size_t s, const fov_limits *limits, fov_text *text) {
    const fov_plan_step *step = &plan->steps[s];
    const fov_plan_node *node = &plan->nodes[step->node->id];
    const fov_step_info info = fov_plan_step_info(plan, s);
    char shape[128];
    /* Forward shows where the value lies, backward where the gradient of that value lies. */
    const size_t piece = step->backward ? node->grad : step->again != FOV_DROP_NOT ? node->value_again : node->value;
    const size_t offset = piece != FOV_NO_PIECE ? plan->pieces[piece].offset : 0;
    const size_t bytes = piece != FOV_NO_PIECE ? plan->pieces[piece].bytes : 0;
    fov_text_printf(text, "%5zu  %-8s  %-15s  %-36s  %-22s  %12zu  %11zu  %9.4f", s, info.pass, info.op,
                    step->node->scope[0] != '\0' ? step->node->scope : "-", fov_shape_text(&step->node->shape, shape, sizeof shape), offset,
                    bytes, info.flops * 1e-9);
    if (info.seconds > 0.0) {
        fov_text_printf(text, "  %9.1f  %8.1f  %6.1f", info.seconds * 1e6, info.flops / info.seconds * 1e-9,
                        info.bytes / info.seconds * 1e-9);
        if (limits != NULL) {
            fov_text_printf(text, "  %4.0f", 100.0 * fov_limit_seconds(limits, info.flops, info.bytes) / info.seconds);
        }
    }
    fov_text_add(text, "\n");
}

void fov_plan_describe(const fov_plan *plan, const fov_limits *limits, fov_text *text) {
    const bool timed = plan->timed && plan->ran;
    fov_text_printf(text, "%5s  %-8s  %-15s  %-36s  %-22s  %12s  %11s  %9s%s%s\n", "step", "pass", "op", "scope", "shape", "offset",
                    "bytes", "GFLOP", timed ? "         us   GFLOP/s    GB/s" : "", timed && limits != NULL ? "     %" : "");
    double microseconds = 0.0;
    for (size_t s = 0; s < plan->step_count; s++) {
        describe_step(plan, s, limits, text);
        microseconds += plan->steps[s].microseconds;
    }
    const fov_cost cost = fov_plan_cost(plan);
    char block[32], separate[32];
    fov_format_bytes((double)plan->block_bytes, block, sizeof block);
    fov_format_bytes((double)plan->separate_bytes, separate, sizeof separate);
    fov_text_printf(text, "%zu steps, %zu tensors in %s (%s without reuse), %.3f GFLOP forward, %.3f backward", plan->step_count,
                    plan->piece_count, block, separate, cost.forward_flops * 1e-9, cost.backward_flops * 1e-9);
    if (timed && microseconds > 0.0) {
        fov_text_printf(text, ", %.1f ms", microseconds * 1e-3);
    }
    fov_text_add(text, "\n");
    fov_plan_describe_memory(plan, text);
}
