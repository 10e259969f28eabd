/* Compares two pictures: embeds both with trained weights and prints the cosine of the angle between their features.
 *
 *   01_embed RUN|FILE.safetensors PICTURE PICTURE */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <fovea/fovea.h>

static double cosine(const float *a, const float *b, size_t n) {
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa > 0.0 && bb > 0.0 ? ab / sqrt(aa * bb) : 0.0;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        (void)fprintf(stderr, "usage: %s RUN|FILE.safetensors PICTURE PICTURE\n", argv[0]);
        return 2;
    }
    fov_embedder *embedder = NULL;
    fov_status status = fov_embedder_open(&embedder, argv[1], 0);
    if (status != FOV_OK) {
        (void)fprintf(stderr, "%s\n", fov_last_error());
        return 1;
    }
    const size_t width = fov_embedder_width(embedder);
    float *features = calloc(2 * width, sizeof *features);
    if (features != NULL) {
        const char *const pictures[] = {argv[2], argv[3]};
        status = fov_embedder_embed_files(embedder, pictures, 2, features); /* one row a picture */
        if (status == FOV_OK) {
            (void)printf("%zu features each, cosine similarity %.4f\n", width, cosine(features, features + width, width));
        } else {
            (void)fprintf(stderr, "%s\n", fov_last_error());
        }
    }
    const int failed = features == NULL || status != FOV_OK;
    free(features);
    fov_embedder_close(embedder);
    return failed;
}
