// What is a matrix or a set of rows: the Hessian, the Gram matrix, a sample. A program of its own beside
// dense/passes.cu, compiled when the first of these is asked for; the ideas stand in the files before it.
//
// A Hessian is four launches: hessian_roots, scale_roots, hessian_*, mirror_tiles, with reduce_partials
// between the last two where the rows were cut into several slices. A Gram matrix is the last three.
// Only the third knows how the products are made: another way to make the tiles replaces it alone.

#define HESSIAN(NAME, T, SHAPE, BLOCKS)                                                                            \
    extern "C" __global__ void __launch_bounds__(SHAPE::THREADS, BLOCKS)                                           \
        NAME(const T* X, const int64* picked, const SHAPE::Sum* roots, const double* centre,                       \
             const double* inverse, int64 m, int64 d, int64 chunk_rows, double* partials)                          \
    {                                                                                                              \
        const HessianInputs<T, SHAPE::Sum> inputs{X, picked, roots, centre, inverse, d};                           \
        rank_update<SHAPE, HessianOperand<SHAPE, T>>(inputs, m, chunk_rows, partials);                             \
    }

#define FOR_DTYPE(DTYPE, T)                                                                                        \
    HESSIAN(hessian_narrow_##DTYPE, T, NarrowFloat32, 8)                                                           \
    HESSIAN(hessian_wide_##DTYPE, T, WideFloat32, 2)                                                               \
    HESSIAN(hessian_tensor_##DTYPE, T, TensorFloat32, 1)                                                           \
    HESSIAN(precise_hessian_narrow_##DTYPE, T, NarrowFloat64, 8)                                                   \
    HESSIAN(precise_hessian_wide_##DTYPE, T, WideFloat64, 2)                                                       \
    extern "C" __global__ void __launch_bounds__(256) hessian_roots_##DTYPE(                                       \
        const T* X, const double* s, const int64* picked, const double* factors, const double* W, int64 m,         \
        int64 d, int lanes, double* roots, double* partials)                                                       \
    {                                                                                                              \
        hessian_roots<T>(X, s, picked, factors, W, m, d, lanes, roots, partials);                                  \
    }                                                                                                              \
    extern "C" __global__ void __launch_bounds__(256) scale_roots_##DTYPE(                                         \
        const double* roots, const double* partials, int64 m, int blocks, T* scaled, double* normaliser)           \
    {                                                                                                              \
        scale_roots<T>(roots, partials, m, blocks, scaled, normaliser);                                            \
    }                                                                                                              \
    extern "C" __global__ void __launch_bounds__(WideFloat64::THREADS, 2) gram_##DTYPE(                            \
        const T* X, const double* centre, int64 n, int64 d, int64 chunk_columns, double* partials)                 \
    {                                                                                                              \
        const GramInputs<T> inputs{X, centre, n, d};                                                               \
        rank_update<WideFloat64, GramOperand<WideFloat64, T>>(inputs, d, chunk_columns, partials);                 \
    }                                                                                                              \
    extern "C" __global__ void __launch_bounds__(256) gather_rows_##DTYPE(                                         \
        const T* X, const signed char* y, const double* s, const int64* picked, const double* factors, int64 m,    \
        int64 d, int lanes, T* X_out, signed char* y_out, double* s_out)                                           \
    {                                                                                                              \
        gather_rows<T>(X, y, s, picked, factors, m, d, lanes, X_out, y_out, s_out);                                \
    }

FOR_DTYPE(float32, float)
FOR_DTYPE(float64, double)
#undef FOR_DTYPE

extern "C" __global__ void __launch_bounds__(256)
    mirror_tiles(const double* tiles, int64 size, int edge, const double* normaliser, double* out)
{
    mirror_tiles_of(tiles, size, edge, normaliser, out);
}
