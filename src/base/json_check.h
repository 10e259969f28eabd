/* The strict reading of JSON (RFC 8259) that goes before cJSON. Private to json.c. */
#ifndef FOV_BASE_JSON_CHECK_H
#define FOV_BASE_JSON_CHECK_H

#include "base/json.h"

/* Exactly one value within `size` bytes, white space around it. Fails with the byte offset of the first fault. */
fov_status fov_json_check(const unsigned char *bytes, size_t size, unsigned max_depth, const char *what);

#endif
