/* The program `fovea`: finds the command and hands over. */
#include <stdio.h>

int main(void) {
    (void)puts("fovea " FOVEA_VERSION);
    return 0;
}
