/* ctest: label=medium timeout=300 */
/* The draws of every step have the distributions that torchvision's and timm's own code has: a million of ours against a million of theirs,
 * which make_draws.py recorded as histograms (layout described there), by the two-sample chi-square and Kolmogorov-Smirnov tests.
 *
 * Each p must be above 0.01. Of some 160 tests chance lets one or two fail, so a quantity that fails with seed 0 is drawn anew with seed 1, and
 * then 2: one of the three must pass. A wrong distribution has a p of 0 to many digits with all of them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "augment/augment.h"

#define SEEDS 3
#define DRAWS 1000000
#define MAX_EDGES 80
#define MAX_QUANTITIES 24 /* of one step */
#define LEAST_P 0.01

typedef enum measure {
    APPLIES,
    AREA,
    RATIO,
    FALLBACK,
    LEFT,
    TOP,
    ORDER,
    VALUE,
    FOUND,
    COUNT,
    FIRST,
    ARGUMENT,
    BOX_LEFT,
    BOX_TOP,
    BOX_WIDTH,
    BOX_HEIGHT
} measure;

/* One line of the recording, and how our draws fell into its bins. */
typedef struct quantity {
    char name[96];
    measure measure;
    size_t index; /* of value[], or of the operation */
    size_t edge_count;
    double edge[MAX_EDGES], theirs[MAX_EDGES + 1], ours[MAX_EDGES + 1];
} quantity;

/* A step as it is used in some lines. */
typedef struct subject {
    const fov_augment *augment;
    const double *param;
    size_t width, height;
    fov_resize fallback; /* crop: the box when no try fits */
} subject;

/* ---- reading ---- */

static const struct {
    const char *step, *key;
    measure measure;
    size_t index;
} measures[] = {
    {"crop", "area", AREA, 0},
    {"crop", "ratio", RATIO, 0},
    {"crop", "fallback", FALLBACK, 0},
    {"crop", "left", LEFT, 0},
    {"crop", "top", TOP, 0},
    {"jitter", "order", ORDER, 0},
    {"jitter", "brightness", VALUE, 0},
    {"jitter", "contrast", VALUE, 1},
    {"jitter", "saturation", VALUE, 2},
    {"jitter", "hue", VALUE, 3},
    {"erase", "found", FOUND, 0},
    {"erase", "area", AREA, 0},
    {"erase", "ratio", RATIO, 0},
    {"erase", "left", LEFT, 0},
    {"erase", "top", TOP, 0},
    {"rotate", "degrees", VALUE, 0},
    {"blur", "sigma", VALUE, 0},
    {"pilblur", "sigma", VALUE, 0},
    {"randaugment", "count", COUNT, 0},
    {"randaugment", "first", FIRST, 0},
    {"mixup", "lambda", VALUE, 0},
    {"cutmix", "lambda", VALUE, 0},
    {"cutmix", "left", BOX_LEFT, 0},
    {"cutmix", "top", BOX_TOP, 0},
    {"cutmix", "width", BOX_WIDTH, 0},
    {"cutmix", "height", BOX_HEIGHT, 0},
};

static void resolve(const char *step, const char *key, quantity *q) {
    if (strcmp(key, "applies") == 0) {
        q->measure = APPLIES;
        return;
    }
    if (strcmp(step, "randaugment") == 0 && key[0] >= '0' && key[0] <= '9') {
        q->measure = ARGUMENT;
        q->index = (size_t)strtoul(key, NULL, 10);
        return;
    }
    for (size_t i = 0; i < sizeof measures / sizeof measures[0]; i++) {
        if (strcmp(step, measures[i].step) == 0 && strcmp(key, measures[i].key) == 0) {
            q->measure = measures[i].measure;
            q->index = measures[i].index;
            return;
        }
    }
    fail_msg("no quantity '%s' of step '%s'", key, step);
}

static double number(char **at) {
    char *end;
    const double value = strtod(*at, &end);
    assert_true(end != *at);
    *at = end;
    return value;
}

/* Splits "step(...) W H key" of a line; the part before the key names the subject. */
static void read_line(char *line, char *about, quantity *q) {
    char *at = strchr(line, '\t'), step[32];
    assert_non_null(at);
    *at++ = '\0';
    assert_true(strlen(line) < sizeof q->name);
    strcpy(q->name, line);
    char *key = strrchr(line, ' ');
    assert_non_null(key);
    *key++ = '\0';
    strcpy(about, line);
    (void)snprintf(step, sizeof step, "%.*s", (int)strcspn(line, "("), line);
    resolve(step, key, q);
    (void)number(&at);
    q->edge_count = (size_t)number(&at);
    assert_true(q->edge_count <= MAX_EDGES);
    for (size_t i = 0; i < q->edge_count; i++) {
        q->edge[i] = number(&at);
    }
    for (size_t i = 0; i <= q->edge_count; i++) {
        q->theirs[i] = number(&at);
        q->ours[i] = 0.0;
    }
}

/* ---- measuring ---- */

static void count(quantity *q, double value) {
    size_t low = 0, high = q->edge_count;
    while (low < high) { /* the number of edges that are not above the value */
        const size_t middle = (low + high) / 2;
        if (q->edge[middle] <= value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    q->ours[low] += 1.0;
}

static bool same_box(const fov_resize *a, const fov_resize *b) {
    return a->left == b->left && a->top == b->top && a->width == b->width && a->height == b->height;
}

static void count_box(const subject *s, const fov_resize *box, quantity *q) {
    const bool fell = same_box(box, &s->fallback), place = q->measure == LEFT || q->measure == TOP;
    if (s->augment->first && fell && place) {
        return; /* its place is not drawn */
    }
    if (!s->augment->first && box->width == 0) {
        return; /* nothing is erased */
    }
    const double area = (double)(box->width * box->height) / (double)(s->width * s->height);
    switch (q->measure) {
    case AREA:
        count(q, area);
        break;
    case RATIO:
        count(q, log((double)box->width / (double)box->height));
        break;
    case FALLBACK:
        count(q, fell);
        break;
    case LEFT:
        count(q, (double)box->left / (double)(s->width - box->width + 1));
        break;
    default:
        count(q, (double)box->top / (double)(s->height - box->height + 1));
        break;
    }
}

static void measure_plan(const subject *s, const fov_augment_plan *plan, quantity *q) {
    const fov_resize *box = &plan->resize;
    switch (q->measure) {
    case APPLIES:
        count(q, plan->applies);
        break;
    case ORDER:
        count(q, plan->order[0] + 4.0 * plan->order[1] + 16.0 * plan->order[2] + 64.0 * plan->order[3]);
        break;
    case VALUE:
        count(q, plan->value[q->index]);
        break;
    case FOUND:
        count(q, box->width > 0);
        break;
    case COUNT:
        count(q, (double)plan->order_count);
        break;
    case FIRST:
        if (plan->order_count > 0) {
            count(q, plan->order[0]);
        }
        break;
    case ARGUMENT:
        for (size_t i = 0; i < plan->order_count; i++) {
            if (plan->order[i] == q->index) {
                count(q, plan->value[i]);
            }
        }
        break;
    case BOX_LEFT:
    case BOX_TOP:
        count(q, (double)(q->measure == BOX_LEFT ? box->left : box->top));
        break;
    case BOX_WIDTH:
    case BOX_HEIGHT:
        count(q, (double)(q->measure == BOX_WIDTH ? box->width : box->height));
        break;
    default:
        count_box(s, box, q);
    }
}

static void draw_all(const char *about, quantity *q, size_t quantities, uint64_t seed, unsigned stream) {
    char text[160];
    fov_recipe recipe;
    const size_t length = (size_t)(strrchr(about, ')') - about) + 1;
    subject s = {.width = 64, .height = 64};
    (void)sscanf(about + length, "%zu %zu", &s.width, &s.height);
    const bool opens = strncmp(about, "crop", 4) == 0;
    (void)snprintf(text, sizeof text, "%s%.*s", opens ? "" : "resize(64) ", (int)length, about);
    if (fov_recipe_parse(text, &recipe) != FOV_OK) {
        fail_msg("%s", fov_last_error());
    }
    const fov_augment_step *step = &recipe.view[0].step[opens ? 0 : 1];
    s.augment = step->augment;
    s.param = step->param;
    fov_rng rng;
    fov_augment_plan plan = {.applies = false};
    if (opens) { /* an area that never fits brings the fallback out */
        const double never[FOV_MAX_STEP_PARAMS] = {100.0, 100.0, 0.0, s.param[3], s.param[4]};
        fov_rng_init(&rng, seed, 0, 0, 0, FOV_RNG_TEST);
        s.augment->draw(never, &rng, s.width, s.height, 64, &plan);
        s.fallback = plan.resize;
    }
    for (size_t k = 0; k < quantities; k++) {
        memset(q[k].ours, 0, sizeof q[k].ours);
    }
    for (uint64_t i = 0; i < DRAWS; i++) {
        plan = (fov_augment_plan){.applies = false};
        fov_rng_init(&rng, seed, 0, i, 0, FOV_RNG_AUGMENT + stream);
        s.augment->draw(s.param, &rng, s.width, s.height, 64, &plan);
        for (size_t k = 0; k < quantities; k++) {
            measure_plan(&s, &plan, &q[k]);
        }
    }
}

/* ---- judging ---- */

/* Q(a, x), the upper incomplete gamma function over the whole: by its series below a + 1, by a continued fraction (Lentz) above. */
static double gamma_q(double a, double x) {
    if (x <= 0.0) {
        return 1.0;
    }
    const double scale = exp(a * log(x) - x - lgamma(a));
    if (x < a + 1.0) {
        double term = 1.0 / a, sum = term;
        for (double n = a + 1.0; term > 1e-16 * sum; n += 1.0) {
            term *= x / n;
            sum += term;
        }
        return 1.0 - scale * sum;
    }
    double b = x + 1.0 - a, c = 1e300, d = 1.0 / b, h = d;
    for (int i = 1; i < 10000; i++) {
        const double an = -i * (i - a);
        b += 2.0;
        d = 1.0 / (an * d + b);
        c = b + an / c;
        h *= d * c;
        if (fabs(d * c - 1.0) < 1e-15) {
            break;
        }
    }
    return scale * h;
}

static double chi_square_p(const quantity *q) {
    double n = 0.0, m = 0.0, chi = 0.0, bins = 0.0, a = 0.0, b = 0.0;
    for (size_t i = 0; i <= q->edge_count; i++) {
        n += q->theirs[i];
        m += q->ours[i];
    }
    for (size_t i = 0; i <= q->edge_count; i++) {
        a += q->theirs[i];
        b += q->ours[i];
        if (a + b >= 20.0) { /* thinner bins are added to the next one */
            const double difference = sqrt(m / n) * a - sqrt(n / m) * b;
            chi += difference * difference / (a + b);
            bins += 1.0;
            a = b = 0.0;
        }
    }
    return bins < 2.0 ? 1.0 : gamma_q((bins - 1.0) / 2.0, chi / 2.0);
}

static double kolmogorov_smirnov_p(const quantity *q) {
    double n = 0.0, m = 0.0, a = 0.0, b = 0.0, most = 0.0, p = 0.0;
    for (size_t i = 0; i <= q->edge_count; i++) {
        n += q->theirs[i];
        m += q->ours[i];
    }
    for (size_t i = 0; i <= q->edge_count; i++) {
        a += q->theirs[i] / n;
        b += q->ours[i] / m;
        most = fmax(most, fabs(a - b));
    }
    const double x = sqrt(n * m / (n + m)) * most;
    for (int k = 1; k < 101 && x > 0.2; k++) {
        p += (k % 2 == 1 ? 2.0 : -2.0) * exp(-2.0 * k * k * x * x);
    }
    return x > 0.2 ? p : 1.0;
}

/* Quantities that are recorded for a share of the draws alone: that share is compared too. */
static double share_p(const quantity *q) {
    quantity share = {.edge_count = 1};
    for (size_t i = 0; i <= q->edge_count; i++) {
        share.theirs[0] += q->theirs[i];
        share.ours[0] += q->ours[i];
    }
    if (share.theirs[0] == DRAWS && share.ours[0] == DRAWS) {
        return 1.0;
    }
    share.theirs[1] = fmax(0.0, DRAWS - share.theirs[0]);
    share.ours[1] = fmax(0.0, DRAWS - share.ours[0]);
    return chi_square_p(&share);
}

static bool fits(const quantity *q) {
    const double chi = chi_square_p(q), ks = kolmogorov_smirnov_p(q), share = share_p(q);
    const bool good = chi > LEAST_P && ks > LEAST_P && share > LEAST_P;
    if (!good) {
        print_message("%s: chi-square p = %.3g, Kolmogorov-Smirnov p = %.3g, p of the share = %.3g\n", q->name, chi, ks, share);
    }
    return good;
}

/* How many of a step's quantities fit with none of the seeds. */
static size_t judge(const char *about, quantity *q, size_t quantities, unsigned stream) {
    bool passed[MAX_QUANTITIES] = {false};
    size_t wrong = quantities;
    for (uint64_t seed = 0; seed < SEEDS && wrong > 0; seed++) {
        draw_all(about, q, quantities, seed, stream);
        wrong = 0;
        for (size_t k = 0; k < quantities; k++) {
            passed[k] = passed[k] || fits(&q[k]);
            wrong += !passed[k];
        }
    }
    return wrong;
}

static void test_distributions(void **state) {
    (void)state;
    static char line[16384];
    static quantity q[MAX_QUANTITIES + 1];
    char about[96] = "", next[96];
    size_t quantities = 0, lines = 0, wrong = 0;
    unsigned stream = 0;
    FILE *file = fopen(FOV_TEST_DATA "/golden/draws.txt", "r");
    assert_non_null(file);
    for (bool more = true; more;) {
        more = fgets(line, sizeof line, file) != NULL;
        next[0] = '\0';
        if (more) {
            lines++;
            read_line(line, next, &q[quantities]);
        }
        if (quantities > 0 && strcmp(about, next) != 0) {
            wrong += judge(about, q, quantities, stream++);
            q[0] = q[quantities];
            quantities = 0;
        }
        strcpy(about, next);
        quantities++;
        assert_true(quantities <= MAX_QUANTITIES);
    }
    (void)fclose(file);
    assert_true(lines >= 78);
    assert_int_equal(wrong, 0);
}

/* The judge itself, on values of statistical tables. */
static void test_judge(void **state) {
    (void)state;
    assert_true(fabs(gamma_q(0.5, 3.841458820694124 / 2.0) - 0.05) < 1e-9);
    assert_true(fabs(gamma_q(11.5, 35.17246162690806 / 2.0) - 0.05) < 1e-9);
    assert_true(fabs(gamma_q(11.5, 9.260424775 / 2.0) - 0.995) < 1e-6);
    quantity q = {.edge_count = 1, .theirs = {5000, 5000}, .ours = {5100, 4900}};
    assert_true(fabs(chi_square_p(&q) - gamma_q(0.5, 1.0001)) < 1e-3); /* chi-square 2.0002 */
    q = (quantity){.edge_count = 1, .theirs = {500000, 500000}, .ours = {503000, 497000}};
    assert_true(chi_square_p(&q) < 1e-4 && kolmogorov_smirnov_p(&q) < 1e-3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_distributions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
