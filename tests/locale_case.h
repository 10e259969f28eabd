/* A locale with a decimal comma, for tests that it changes nothing. */
#ifndef FOV_TESTS_LOCALE_CASE_H
#define FOV_TESTS_LOCALE_CASE_H

#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* German numbers: the system's locale, or one made in `folder`. False, with the reason printed, when neither can be had. */
static bool enter_comma_locale(const char *folder) {
    static const char name[] = "de_DE.UTF-8";
    char command[1200];
    if (setlocale(LC_NUMERIC, name) != NULL) {
        return true;
    }
    (void)snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 '%s/%s' >/dev/null 2>&1", folder, name);
    const bool made = system(command) == 0 && setenv("LOCPATH", folder, 1) == 0 && setlocale(LC_NUMERIC, name) != NULL;
    if (!made) {
        (void)printf("skipped: there is no locale %s, and localedef cannot make it\n", name);
    }
    return made;
}

#endif
