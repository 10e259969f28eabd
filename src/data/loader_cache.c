/* Decoded pictures kept in memory.
 *
 * All or nothing: a cache that held half of the pictures would save half of the decoding in a pattern that depends on time; with
 * everything held, a small folder is decoded once. Pictures lie in one block, in the order in which they came: the system gives its
 * memory as it fills, in large pages: 160 small ones for a photo of 400 x 533 can cost more than decoding it. Each entry is claimed once
 * by compare and swap, so looking needs no lock, and what is claimed fits. */
#include <string.h>

#include "base/checked.h"
#include "base/log.h"
#include "data/loader_internal.h"

/* Stands in the entry of a picture that is being copied. */
static uint8_t claimed;

static bool picture_bytes(const fov_index *index, fov_pixel_format format, size_t picture, size_t *bytes) {
    size_t width, height;
    fov_index_size(index, picture, &width, &height);
    const size_t factors[3] = {width, height, fov_pixel_bytes(format)};
    return fov_product_size(factors, 3, bytes);
}

size_t fov_loader_cache_needs(const fov_index *index, fov_pixel_format format) {
    size_t total = 0, bytes = 0;
    for (size_t i = 0; i < fov_index_count(index); i++) {
        if (!picture_bytes(index, format, i, &bytes) || !fov_add_size(total, bytes, &total)) {
            return SIZE_MAX;
        }
    }
    return total;
}

fov_status fov_pixel_cache_init(fov_pixel_cache *cache, const fov_index *index, fov_pixel_format format, size_t limit) {
    cache->index = index;
    cache->format = format;
    const size_t count = fov_index_count(index), total = fov_loader_cache_needs(index, format);
    char wanted[32], have[32];
    fov_format_bytes((double)total, wanted, sizeof wanted);
    fov_format_bytes((double)limit, have, sizeof have);
    if (total > limit) {
        fov_log(FOV_LOG_INFO, "pictures are decoded anew in each epoch: all of them take %s, the cache is %s", wanted, have);
        return FOV_OK;
    }
    fov_log(FOV_LOG_INFO, "pictures are kept decoded: all of them take %s", wanted);
    cache->entry = fov_mem_array(FOV_MEM_DATA, count, sizeof *cache->entry);
    FOV_TRY_ALLOC(cache->entry);
    cache->block = fov_mem_alloc(FOV_MEM_DATA, total);
    FOV_TRY_ALLOC(cache->block);
    for (size_t i = 0; i < count; i++) {
        atomic_init(&cache->entry[i], NULL);
    }
    return FOV_OK;
}

void fov_pixel_cache_clear(fov_pixel_cache *cache) {
    fov_mem_free(cache->entry);
    fov_mem_free(cache->block);
    cache->entry = NULL;
    cache->block = NULL;
}

bool fov_pixel_cache_get(fov_pixel_cache *cache, size_t picture, fov_image *image) {
    uint8_t *pixels = cache->entry == NULL ? NULL : atomic_load_explicit(&cache->entry[picture], memory_order_acquire);
    if (pixels == NULL || pixels == &claimed) {
        return false;
    }
    *image = (fov_image){.pixels = pixels, .channels = cache->format.channels == 0 ? 3 : cache->format.channels, .deep = cache->format.deep};
    fov_index_size(cache->index, picture, &image->width, &image->height);
    image->capacity = image->width * image->height * fov_pixel_bytes(cache->format);
    return true;
}

void fov_pixel_cache_put(fov_pixel_cache *cache, size_t picture, const fov_image *image) {
    size_t width, height, bytes;
    if (cache->entry == NULL || !picture_bytes(cache->index, cache->format, picture, &bytes)) {
        return;
    }
    fov_index_size(cache->index, picture, &width, &height);
    if (image->width != width || image->height != height) {
        return;
    }
    uint8_t *none = NULL;
    if (atomic_compare_exchange_strong_explicit(&cache->entry[picture], &none, &claimed, memory_order_relaxed, memory_order_relaxed)) {
        uint8_t *place = cache->block + atomic_fetch_add(&cache->bytes, bytes);
        memcpy(place, image->pixels, bytes);
        atomic_store_explicit(&cache->entry[picture], place, memory_order_release);
    }
}
