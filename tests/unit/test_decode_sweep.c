/* The long sweep of decoding parts of JPEG pictures against whole ones. ctest: label=medium timeout=600 */
#include "decode_sweep.h"

static void test_sweep(void **state) {
    (void)state;
    sweep_run(20, 8, 400000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sweep)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
