/* A trained backbone that turns pictures into feature vectors. */
#ifndef FOVEA_ENCODER_H
#define FOVEA_ENCODER_H

#include <stddef.h>
#include <stdint.h>

#include <fovea/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Weights, their preprocessing and the memory to compute in. One thread at a time may use one embedder; several embedders do not
 * disturb each other. NULL for an embedder, or for anything that a call must read or write, is FOV_E_INVALID; what is asked of an embedder
 * that is NULL (its width, image size, channels, depth) is 0. */
typedef struct fov_embedder fov_embedder;

/* Opens weights: a run directory, or a .safetensors file of Fovea, torchvision (ResNet) or timm (ViT). Backbone and preprocessing come
 * from the file's metadata, or else from its shapes. threads: how many compute, 0 for all processors; features do not depend on it.
 * On success the caller owns *embedder, else it is left as it was. FOV_E_NOTFOUND, FOV_E_FORMAT, FOV_E_UNSUPPORTED, FOV_E_MISMATCH, ... */
FOV_API FOV_MUST_USE fov_status fov_embedder_open(fov_embedder **embedder, const char *weights, unsigned threads);
FOV_API void fov_embedder_close(fov_embedder *embedder); /* takes NULL */

FOV_API size_t fov_embedder_width(const fov_embedder *embedder);      /* numbers in a feature vector */
FOV_API size_t fov_embedder_image_size(const fov_embedder *embedder); /* side of the centre crop that the backbone sees, in pixels */

/* What a picture looks like to these weights: 3 channels of 8 bits for RGB, unless the run said otherwise (--channels, --depth). */
FOV_API size_t fov_embedder_channels(const fov_embedder *embedder);
FOV_API unsigned fov_embedder_depth(const fov_embedder *embedder); /* 8 or 16 */

/* Picture files -> features [count, width], a row a file, in their order. The first file (in their order) that cannot be read fails
 * the call with a message that names it; features are then undefined. A picture's features do not depend on the others.
 * Weights for pictures whose planes lie in several files (--group) take pixels only: FOV_E_UNSUPPORTED.
 *
 * A call computes whole batches: many files in one call take far less time than a call each. */
FOV_API FOV_MUST_USE fov_status fov_embedder_embed_files(fov_embedder *embedder, const char *const *paths, size_t count, float *features);
/* One file -> features [width]. */
FOV_API FOV_MUST_USE fov_status fov_embedder_embed_file(fov_embedder *embedder, const char *path, float *features);

/* Pixels in memory, in the embedder's own channels and depth -> features [width]. pixels [height, width, channels] are uint8_t, or uint16_t
 * in the machine's order for a depth of 16, rows one after the other without gaps, of any size: they are resized and cropped as files are.
 * FOV_E_INVALID for an empty picture, FOV_E_LIMIT for a huge one (a side over 65,500 or over 128 Mi pixels). */
FOV_API FOV_MUST_USE fov_status fov_embedder_embed_pixels(fov_embedder *embedder, const void *pixels, size_t width, size_t height,
                                                          float *features);

/* The same from 8-bit RGB, pixels [height, width, 3]; FOV_E_MISMATCH when the weights take another format. */
FOV_API FOV_MUST_USE fov_status fov_embedder_embed_rgb(fov_embedder *embedder, const uint8_t *pixels, size_t width, size_t height,
                                                       float *features);

#ifdef __cplusplus
}
#endif
#endif
