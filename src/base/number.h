/* Numbers as text, the same in every locale. */
#ifndef FOV_BASE_NUMBER_H
#define FOV_BASE_NUMBER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fovea/status.h>

/* Shortest decimal form that reads back as the same double: "0.1", "1000000", "1e-05"; "nan", "inf", "-inf". text holds at least 32 bytes.
 */
void fov_number_text(double value, char *text, size_t size);
/* Reads all of `text` as a finite decimal number ("-1.5e-3"; no hexadecimal, no spaces). False when it is something else or too large. */
bool fov_number_parse(const char *text, double *value);
/* Reads all of `text` as a whole number in decimal digits with an optional sign. False when it is something else or does not fit. */
bool fov_integer_parse(const char *text, int64_t *value);
/* snprintf and vsnprintf with a decimal point in every locale: for text that goes into a file, is read again, or names a setting. */
int fov_number_print(char *text, size_t size, const char *format, ...) FOV_PRINTF(3, 4);
int fov_number_vprint(char *text, size_t size, const char *format, va_list arguments) FOV_PRINTF(3, 0);

#endif
