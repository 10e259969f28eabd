/* The arithmetic type of the compute core: float in the library; double in the second, test-only build that proves gradients. */
#ifndef FOV_BASE_REAL_H
#define FOV_BASE_REAL_H

#ifdef FOVEA_DOUBLE
typedef double fov_real;
#define FOV_REAL_EPS 2.2204460492503131e-16
#else
typedef float fov_real;
#define FOV_REAL_EPS 1.1920929e-7F
#endif

#endif
