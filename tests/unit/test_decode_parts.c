/* Parts of pictures: a short sweep of JPEG files against plain libjpeg. */
#include "decode_sweep.h"

static void test_jpeg_parts(void **state) {
    (void)state;
    sweep_run(1, 2, 5000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_jpeg_parts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
