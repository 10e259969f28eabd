/* Weighted nearest neighbours on frozen features. */
#ifndef FOV_EVAL_KNN_H
#define FOV_EVAL_KNN_H

#include "base/memory.h"
#include "base/pool.h"

#define FOV_KNN_TEMPERATURE 0.07

/* train [count, width] with label [count]; test [test_count, width] -> predicted [test_count]. The k nearest by cosine (ties: the lower index)
 * vote with exp(cosine / temperature); the class with the larger sum wins (ties: the lower class). 1 <= k <= count.
 * Source: Wu et al., "Unsupervised feature learning via non-parametric instance discrimination", CVPR 2018; as in DINO's eval_knn. */
FOV_MUST_USE fov_status fov_knn_predict(uint32_t *predicted, const float *train, const uint32_t *label, size_t count, const float *test,
                                        size_t test_count, size_t width, size_t classes, size_t k, double temperature, fov_pool *pool);

#endif
