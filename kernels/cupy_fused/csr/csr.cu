// Logistic regression on sparse X (compressed rows) on a CUDA device: the formulas of python_loop/csr.py. A
// program of its own beside dense/passes.cu, compiled when the first sparse X comes.
//
// z = X w gathers: each row sums over its own nonzeros. The gradient g = Σ rᵢ xᵢ scatters: many rows add to
// one column, and a sum whose order is that of arrival differs from run to run. What was weighed:
//
//  (a) Atomic additions to g. One read of X, but the bits of the answer depend on timing, and the frequent
//      columns of real data (a word that is in every document) make threads queue for one address.
//  (b) Private copies of g, added up after in a fixed order. Within a row no column occurs twice, so a
//      warp that takes a row at a time needs no atomics, but every warp needs a copy of its own: 8 d bytes,
//      one to four copies a multiprocessor at d = 25,000 and none beyond, where 64 warps are needed to keep
//      the memory busy. Holding only a block of features reads X once a block.
//  (c) A second copy of X, by columns. g is then a gather too: each column sums over its own nonzeros, in
//      the order of their rows. Two reads of X and twice its memory; nothing is shared, so nothing queues.
//
// It is (c). Both directions are one kernel, segment_sums: runs of nonzeros, each times entries of a vector
// that stays in the second-level cache. Runs differ without bound in length, so long ones are cut into
// segments of bounded length (cut_runs in csr/plan.py, on the host, from the starts alone), dealt
// to groups of threads, and the partial sums of one run are added by one warp. Balance does not depend on
// how rows and columns are filled, and the order of every sum depends on X's shape and the device alone.
//
//   gradient   segment_sums by rows (z), link_gradient (r, s h, the loss), segment_sums by columns, sum_partials
//   product    the same with v, and link_product: s h is kept from the gradient at the same w, so that a
//              solve by conjugate gradients gathers v alone and needs no exponential
//   bytes      a nonzero: 4 for its index and sizeof(T), in each read; a row: 8 or so for each vector
//
// X by columns is made on the device, by a stable sort of the column numbers and a copy in that order.
// Every product and sum is float64. Offsets are 64-bit; rows and columns are numbered by 32 bits.

#define SEGMENT_SUMS(NAME, T, ENTRY)                                                                               \
    extern "C" __global__ void __launch_bounds__(256)                                                              \
        NAME(const T* values, const int* indices, const int64* starts, const int64* targets, int64 segments,       \
             int64 runs, int lanes, const double* vector, double divisor, double* out, double* partials)           \
    {                                                                                                              \
        segment_sums<ENTRY>(values, indices, starts, targets, segments, runs, lanes, vector, divisor, out,         \
                            partials);                                                                             \
    }

#define FOR_DTYPE(DTYPE, T)                                                                                        \
    SEGMENT_SUMS(segment_sums_##DTYPE, T, AsItIs)                                                                  \
    SEGMENT_SUMS(segment_square_sums_##DTYPE, T, Squared)                                                          \
    extern "C" __global__ void __launch_bounds__(256)                                                              \
        transpose_##DTYPE(const T* values, const int64* row_starts, const int64* order, int64 n, int64 nonzeros,   \
                          T* values_out, int* rows_out)                                                            \
    {                                                                                                              \
        transpose<T>(values, row_starts, order, n, nonzeros, values_out, rows_out);                                \
    }                                                                                                              \
    extern "C" __global__ void __launch_bounds__(256) gather_csr_rows_##DTYPE(                                     \
        const T* values, const int* columns, const int64* row_starts, const signed char* y, const double* s,       \
        const int64* picked, const double* factors, const int64* starts_out, int64 m, int lanes, T* values_out,    \
        int* columns_out, signed char* y_out, double* s_out)                                                       \
    {                                                                                                              \
        gather_csr_rows<T>(values, columns, row_starts, y, s, picked, factors, starts_out, m, lanes, values_out,   \
                           columns_out, y_out, s_out);                                                             \
    }                                                                                                              \
    extern "C" __global__ void __launch_bounds__(256) fill_zeros_##DTYPE(int64 count, T* out)                      \
    {                                                                                                              \
        fill_zeros<T>(count, out);                                                                                 \
    }                                                                                                              \
    extern "C" __global__ void __launch_bounds__(256) scatter_rows_##DTYPE(                                        \
        const T* values, const int* columns, const int64* row_starts, const int64* picked, int64 first, int64 m,   \
        int lanes, int64 row_step, int64 column_step, int clear, T* dense)                                         \
    {                                                                                                              \
        scatter_rows<T>(values, columns, row_starts, picked, first, m, lanes, row_step, column_step, clear,        \
                        dense);                                                                                    \
    }                                                                                                              \
    extern "C" __global__ void __launch_bounds__(256)                                                              \
        gram_batch_##DTYPE(const T* values, const int* columns, const int64* row_starts, const T* dense,           \
                           int64 first, int64 n, double* out)                                                      \
    {                                                                                                              \
        gram_batch<T>(values, columns, row_starts, dense, first, n, out);                                          \
    }

FOR_DTYPE(float32, float)
FOR_DTYPE(float64, double)
#undef FOR_DTYPE

extern "C" __global__ void __launch_bounds__(256) sum_segments(const double* partials, const int64* starts,
                                                               const int64* targets, int64 sums, double divisor,
                                                               double* out)
{
    sum_partials(partials, starts, targets, sums, divisor, out);
}

extern "C" __global__ void __launch_bounds__(256)
    csr_gradient_factors(const signed char* y, const double* s, const double* W, int64 n, int64 d, double* factors,
                         double* curvatures, double* partials)
{
    link_gradient(y, s, W, n, d, factors, curvatures, partials);
}

extern "C" __global__ void __launch_bounds__(256)
    csr_product_factors(const double* curvatures, const double* V, int64 n, int64 d, double* factors,
                        double* partials)
{
    link_product(curvatures, V, n, d, factors, partials);
}

extern "C" __global__ void __launch_bounds__(256)
    column_starts(const int* columns, const int64* order, int64 nonzeros, int64 d, int64* starts)
{
    column_starts_of(columns, order, nonzeros, d, starts);
}

extern "C" __global__ void __launch_bounds__(256)
    row_lengths(const int64* row_starts, const int64* picked, int64 m, int64* lengths)
{
    row_lengths_of(row_starts, picked, m, lengths);
}

extern "C" __global__ void __launch_bounds__(256)
    csr_roots(const double* curvatures, const double* s, const int64* picked, const double* factors, int64 m,
              double* roots, double* partials)
{
    roots_of_curvatures(curvatures, s, picked, factors, m, roots, partials);
}

extern "C" __global__ void __launch_bounds__(256)
    add_slices(const double* partials, int64 slices, int64 size, int first, double* total)
{
    add_slices_to(partials, slices, size, first, total);
}
