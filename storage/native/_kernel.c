/* Exact distances, the nearest of some rows, cells of a text column, whether a column can be read, and whether a file
 * is still there: what lies around a walk through a graph, where each call of numpy would cost more than its work.
 * Everything here has a twin in numpy and Python (distance.py, text_column.py, arrays.py, column_offsets.py), which
 * answers the same where no compiler was at hand.
 */
#include "vectors.h"

#include <errno.h>
#include <sys/stat.h>

/* What the distances of one query to rows of a matrix are made of. `rows` NULL: all, in their order. */
typedef struct {
    Space space;
    Py_ssize_t dimension, count;
    const float *vectors;
    int64_t *rows; /* a copy: nobody can change them once they were checked */
    const double *lengths; /* of all vectors, or NULL */
    double *query;         /* of length one with cosine */
    Py_buffer held[3];
    int holds;
} Pairs;

static int
hold(Pairs *pairs, PyObject *object, const char *name, int ndim, const char *letters, Py_ssize_t size)
{
    if (get(object, &pairs->held[pairs->holds], name, ndim, letters, size, 0) < 0)
        return -1;
    pairs->holds++;
    return 0;
}

static void
let_go(Pairs *pairs)
{
    while (pairs->holds)
        PyBuffer_Release(&pairs->held[--pairs->holds]);
    PyMem_Free(pairs->query);
    PyMem_Free(pairs->rows);
}

/* Copies the rows, all of which are of the `stored` ones. */
static int
take_rows(Pairs *pairs, PyObject *object, Py_ssize_t stored)
{
    Py_buffer given;
    if (get(object, &given, "rows", 1, INT64, 8, 0) < 0)
        return -1;
    pairs->count = given.shape[0];
    pairs->rows = PyMem_New(int64_t, pairs->count ? pairs->count : 1);
    Py_ssize_t right = 0;
    while (pairs->rows && right < pairs->count) {
        int64_t row = ((const int64_t *)given.buf)[right];
        if (row < 0 || row >= stored) {
            PyErr_Format(PyExc_IndexError, "row %lld of %zd", (long long)row, stored);
            break;
        }
        pairs->rows[right++] = row;
    }
    PyBuffer_Release(&given);
    if (!pairs->rows)
        PyErr_NoMemory();
    return pairs->rows && right == pairs->count ? 0 : -1;
}

/* From space, query (dim,), vectors (n, dim), rows (m,) or None, lengths (n,) or None. */
static int
read_pairs(Pairs *pairs, PyObject *const *args)
{
    memset(pairs, 0, sizeof *pairs);
    if (read_space(args[0], &pairs->space) < 0 || hold(pairs, args[1], "query", 1, FLOAT, 4) < 0)
        return -1;
    if (hold(pairs, args[2], "vectors", 2, FLOAT, 4) < 0)
        goto failed;
    const Py_buffer *query = &pairs->held[0], *vectors = &pairs->held[1];
    Py_ssize_t stored = vectors->shape[0];
    pairs->dimension = vectors->shape[1];
    pairs->vectors = vectors->buf;
    pairs->count = stored;
    if (counted("query", query->shape[0], pairs->dimension) < 0)
        goto failed;
    if (args[3] != Py_None && take_rows(pairs, args[3], stored) < 0)
        goto failed;
    if (args[4] != Py_None) {
        if (hold(pairs, args[4], "lengths", 1, DOUBLE, 8) < 0)
            goto failed;
        const Py_buffer *lengths = &pairs->held[2];
        if (counted("lengths", lengths->shape[0], stored) < 0)
            goto failed;
        pairs->lengths = lengths->buf;
    }
    pairs->query = PyMem_New(double, pairs->dimension ? pairs->dimension : 1);
    if (!pairs->query) {
        PyErr_NoMemory();
        goto failed;
    }
    const float *given = query->buf;
    double length = pairs->space == COSINE ? length_of(given, pairs->dimension) : 1;
    for (Py_ssize_t at = 0; at < pairs->dimension; at++)
        pairs->query[at] = (double)given[at] / length;
    return 0;
failed:
    let_go(pairs);
    return -1;
}

static Py_ssize_t
row_at(const Pairs *pairs, Py_ssize_t at)
{
    return pairs->rows ? (Py_ssize_t)pairs->rows[at] : at;
}

/* The next row is on its way while this one is read. */
static void
prefetch_next(const Pairs *pairs, Py_ssize_t at)
{
    if (!pairs->rows || at + 1 >= pairs->count)
        return;
    const char *next = (const char *)(pairs->vectors + pairs->rows[at + 1] * pairs->dimension);
    for (Py_ssize_t byte = 0; byte < 4 * pairs->dimension; byte += LINE)
        PREFETCH(next + byte);
}

static float
distance_at(const Pairs *pairs, Py_ssize_t at)
{
    Py_ssize_t row = row_at(pairs, at), dimension = pairs->dimension;
    prefetch_next(pairs, at);
    const float *vector = pairs->vectors + row * dimension;
    if (pairs->space == L2)
        return (float)squared_difference(vector, pairs->query, dimension);
    double dot = product(vector, pairs->query, dimension);
    if (pairs->space == COSINE)
        dot /= pairs->lengths ? pairs->lengths[row] : length_of(vector, dimension);
    return (float)(1.0 - dot);
}

PyDoc_STRVAR(distances_doc, "distances(space, query, vectors, rows, lengths, out): fills `out`, float32 (m,).");

static PyObject *
distances(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Pairs pairs;
    Py_buffer out;
    if (arguments("distances", given, 6) < 0 || read_pairs(&pairs, args) < 0)
        return NULL;
    if (get(args[5], &out, "out", 1, FLOAT, 4, 1) < 0) {
        let_go(&pairs);
        return NULL;
    }
    int right = counted("out", out.shape[0], pairs.count) == 0;
    if (right) {
        float *into = out.buf;
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t at = 0; at < pairs.count; at++)
            into[at] = distance_at(&pairs, at);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&out);
    let_go(&pairs);
    if (!right)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(lengths_doc, "lengths(vectors, out): the length of each vector, never 0, into `out`, float64 (n,).");

static PyObject *
lengths(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Py_buffer vectors, out;
    if (arguments("lengths", given, 2) < 0 || get(args[0], &vectors, "vectors", 2, FLOAT, 4, 0) < 0)
        return NULL;
    if (get(args[1], &out, "out", 1, DOUBLE, 8, 1) < 0) {
        PyBuffer_Release(&vectors);
        return NULL;
    }
    int right = counted("out", out.shape[0], vectors.shape[0]) == 0;
    if (right) {
        const float *from = vectors.buf;
        double *into = out.buf;
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t row = 0; row < vectors.shape[0]; row++)
            into[row] = length_of(from + row * vectors.shape[1], vectors.shape[1]);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&out);
    PyBuffer_Release(&vectors);
    if (!right)
        return NULL;
    Py_RETURN_NONE;
}

/* ---- the nearest (vectors are finite, so no distance is NaN) -------------------------------------------- */

enum { ROUGH_LANES = 16 };         /* sums at a time in float32 */
enum { SHORT_SCAN = 1 << 17, SHORT_STRETCH = 1 << 20 }; /* numbers: 10 us of work; 4 MB, about what is read at a time */
static const double LONG = 1e30; /* the squared lengths beyond which float32 products are too inexact */
static const float SHORT = 1e-30f;

static void
find_nearest(const Pairs *pairs, Hit *best, Py_ssize_t k)
{
    for (Py_ssize_t at = 0; at < pairs->count; at++) {
        Hit hit = {distance_at(pairs, at), row_at(pairs, at)};
        if (at < k)
            best[at] = hit;
        else if (before(hit, best[0])) {
            best[0] = hit;
            sink(best, k, 0);
        }
        if (at == k - 1 && k < pairs->count)
            for (Py_ssize_t parent = k / 2; parent-- > 0;)
                sink(best, k, parent);
    }
    qsort(best, (size_t)k, sizeof(Hit), compare);
}

/* The product of float32 numbers, in float32: it ranks rows up to an error that `slack_of` bounds. So fused
 * multiply-add is welcome here, and the same numbers on each machine are not needed. */
typedef float (*RoughProduct)(const float *vector, const float *query, Py_ssize_t dimension);

static float
rough_plain(const float *vector, const float *query, Py_ssize_t dimension)
{
    float sums[ROUGH_LANES] = {0}, sum = 0;
    Py_ssize_t at = 0;
    for (; at + ROUGH_LANES <= dimension; at += ROUGH_LANES)
        for (int lane = 0; lane < ROUGH_LANES; lane++)
            sums[lane] += vector[at + lane] * query[at + lane];
    for (; at < dimension; at++)
        sum += vector[at] * query[at];
    for (int lane = 0; lane < ROUGH_LANES; lane++)
        sum += sums[lane];
    return sum;
}

static RoughProduct rough_product = rough_plain;

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

__attribute__((target("avx512f"))) static float
rough_avx512(const float *vector, const float *query, Py_ssize_t dimension)
{
    __m512 one = _mm512_setzero_ps(), other = one, third = one, fourth = one;
    Py_ssize_t at = 0;
    for (; at + 64 <= dimension; at += 64) {
        one = _mm512_fmadd_ps(_mm512_loadu_ps(vector + at), _mm512_loadu_ps(query + at), one);
        other = _mm512_fmadd_ps(_mm512_loadu_ps(vector + at + 16), _mm512_loadu_ps(query + at + 16), other);
        third = _mm512_fmadd_ps(_mm512_loadu_ps(vector + at + 32), _mm512_loadu_ps(query + at + 32), third);
        fourth = _mm512_fmadd_ps(_mm512_loadu_ps(vector + at + 48), _mm512_loadu_ps(query + at + 48), fourth);
    }
    float sum = _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(one, other), _mm512_add_ps(third, fourth)));
    return at < dimension ? sum + rough_plain(vector + at, query + at, dimension - at) : sum;
}

__attribute__((target("avx2,fma"))) static float
rough_avx2(const float *vector, const float *query, Py_ssize_t dimension)
{
    __m256 one = _mm256_setzero_ps(), other = one, third = one, fourth = one;
    Py_ssize_t at = 0;
    for (; at + 32 <= dimension; at += 32) {
        one = _mm256_fmadd_ps(_mm256_loadu_ps(vector + at), _mm256_loadu_ps(query + at), one);
        other = _mm256_fmadd_ps(_mm256_loadu_ps(vector + at + 8), _mm256_loadu_ps(query + at + 8), other);
        third = _mm256_fmadd_ps(_mm256_loadu_ps(vector + at + 16), _mm256_loadu_ps(query + at + 16), third);
        fourth = _mm256_fmadd_ps(_mm256_loadu_ps(vector + at + 24), _mm256_loadu_ps(query + at + 24), fourth);
    }
    float sums[8], sum = 0;
    _mm256_storeu_ps(sums, _mm256_add_ps(_mm256_add_ps(one, other), _mm256_add_ps(third, fourth)));
    for (int lane = 0; lane < 8; lane++)
        sum += sums[lane];
    return at < dimension ? sum + rough_plain(vector + at, query + at, dimension - at) : sum;
}
#endif

static void
choose_rough_product(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    int widest = widest_instructions();
    rough_product = widest == AVX512 ? rough_avx512 : widest == AVX2 ? rough_avx2 : rough_plain;
#endif
}

/* A number that ranks the row like its distance, up to an error; NAN if it has to be compared exactly. */
static float
rough_at(const Pairs *pairs, const float *query, const float *squares, Py_ssize_t at)
{
    Py_ssize_t row = row_at(pairs, at);
    prefetch_next(pairs, at);
    float dot = rough_product(pairs->vectors + row * pairs->dimension, query, pairs->dimension);
    if (pairs->space == IP)
        return -dot;
    if (pairs->space == L2)
        return squares[row] - 2 * dot;
    return squares[row] < SHORT ? NAN : -dot / sqrtf(squares[row]);
}

/* Twice a bound on the error of `rough_at`: of a product it is about dimension * FLT_EPSILON * |a||b| at most and its
 * square root of that usually; this is four times the usual one. INFINITY: float32 is too narrow for these lengths. */
static float
slack_of(const Pairs *pairs, const float *query, const float *squares)
{
    double square = square_of(query, pairs->dimension), longest = 0;
    for (Py_ssize_t at = 0; at < pairs->count; at++)
        longest = squares[row_at(pairs, at)] > longest ? (double)squares[row_at(pairs, at)] : longest;
    double unit = 4 * (double)FLT_EPSILON * (sqrt((double)pairs->dimension) + 4), scale = sqrt(square * longest);
    if (longest > LONG || square > LONG || (pairs->space == COSINE && square < SHORT))
        return INFINITY;
    double bound = pairs->space == L2   ? unit * (longest + 2 * scale)
                   : pairs->space == IP ? unit * scale
                                        : unit * sqrt(square);
    return (float)(2 * bound);
}

static void
sink_number(float *heap, Py_ssize_t count, float moved)
{
    Py_ssize_t at = 0;
    for (Py_ssize_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && heap[child] < heap[child + 1])
            child++;
        if (!(moved < heap[child]))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

/* Keeps the rows that may be among the k nearest: those whose rough number is near the k-th smallest one or below it.
 * `heap` has room for k numbers, `rough` for all. Returns how many rows are in `close`. */
static Py_ssize_t
keep_close(const Pairs *pairs, const float *query, const float *squares, float *rough, float *heap, Py_ssize_t k,
           int64_t *close)
{
    float slack = slack_of(pairs, query, squares), limit = INFINITY;
    Py_ssize_t kept = 0;
    for (Py_ssize_t at = 0; at < k; at++)
        heap[at] = INFINITY;
    for (Py_ssize_t at = 0; at < pairs->count && slack < INFINITY; at++) {
        rough[at] = rough_at(pairs, query, squares, at);
        if (rough[at] < heap[0])
            sink_number(heap, k, rough[at]);
    }
    limit = slack < INFINITY ? heap[0] + slack : INFINITY;
    for (Py_ssize_t at = 0; at < pairs->count; at++)
        if (!(limit < INFINITY) || !(rough[at] > limit)) /* NAN is kept */
            close[kept++] = row_at(pairs, at);
    return kept;
}

/* A short scan keeps the interpreter's lock, because handing it over takes longer. But rows that lie far apart may have
 * to be read from the disk one by one, and meanwhile nobody else could run. */
static int
keeps_lock(const Pairs *pairs)
{
    int64_t first = INT64_MAX, last = 0;
    if (pairs->count * pairs->dimension > SHORT_SCAN)
        return 0;
    for (Py_ssize_t at = 0; pairs->rows && at < pairs->count; at++) {
        first = pairs->rows[at] < first ? pairs->rows[at] : first;
        last = pairs->rows[at] > last ? pairs->rows[at] : last;
    }
    return !pairs->rows || (last - first) * pairs->dimension <= SHORT_STRETCH;
}

PyDoc_STRVAR(scan_doc,
             "scan(space, query, vectors, rows, lengths, squares, rows_out, distances_out): the same as `nearest`, which\n"
             "compares by products in float32 first. `squares`: the squared length of each vector, float32 (n,).");

static PyObject *
scan(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Pairs pairs;
    Py_buffer squares, rows, into;
    float *rough = NULL;
    int64_t *close = NULL;
    Hit *best = NULL;
    PyObject *done = NULL;
    if (arguments("scan", given, 8) < 0 || read_pairs(&pairs, args) < 0)
        return NULL;
    if (get(args[5], &squares, "squares", 1, FLOAT, 4, 0) < 0)
        goto pairs_held;
    if (get(args[6], &rows, "rows_out", 1, INT64, 8, 1) < 0)
        goto squares_held;
    if (get(args[7], &into, "distances_out", 1, FLOAT, 4, 1) < 0)
        goto rows_held;
    Py_ssize_t k = rows.shape[0], count = pairs.count;
    if (counted("distances_out", into.shape[0], k) < 0 || counted("squares", squares.shape[0], pairs.held[1].shape[0]) < 0)
        goto all_held;
    if (k < 1 || k > count) {
        PyErr_Format(PyExc_ValueError, "there are no %zd nearest of %zd rows", k, count);
        goto all_held;
    }
    rough = PyMem_New(float, count + k);
    close = PyMem_New(int64_t, count);
    best = PyMem_New(Hit, k);
    if (!rough || !close || !best) {
        PyErr_NoMemory();
        goto all_held;
    }
    PyThreadState *state = keeps_lock(&pairs) ? NULL : give_lock();
    Pairs some = pairs;
    some.count = keep_close(&pairs, pairs.held[0].buf, squares.buf, rough, rough + count, k, close);
    some.rows = close;
    find_nearest(&some, best, k);
    for (Py_ssize_t at = 0; at < k; at++) {
        ((int64_t *)rows.buf)[at] = best[at].row;
        ((float *)into.buf)[at] = best[at].distance;
    }
    if (state)
        take_lock(state);
    done = Py_NewRef(Py_None);
all_held:
    PyMem_Free(best);
    PyMem_Free(close);
    PyMem_Free(rough);
    PyBuffer_Release(&into);
rows_held:
    PyBuffer_Release(&rows);
squares_held:
    PyBuffer_Release(&squares);
pairs_held:
    let_go(&pairs);
    return done;
}

PyDoc_STRVAR(nearest_doc,
             "nearest(space, query, vectors, rows, lengths, rows_out, distances_out): the nearest of the rows by\n"
             "distance, then row, as many as the outputs have room for: int64 (k,), float32 (k,).");

static PyObject *
nearest(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Pairs pairs;
    Py_buffer rows, into;
    Hit *best = NULL;
    PyObject *done = NULL;
    if (arguments("nearest", given, 7) < 0 || read_pairs(&pairs, args) < 0)
        return NULL;
    if (get(args[5], &rows, "rows_out", 1, INT64, 8, 1) < 0)
        goto pairs_held;
    if (get(args[6], &into, "distances_out", 1, FLOAT, 4, 1) < 0)
        goto rows_held;
    Py_ssize_t k = rows.shape[0];
    if (counted("distances_out", into.shape[0], k) < 0)
        goto all_held;
    if (k > pairs.count) {
        PyErr_Format(PyExc_ValueError, "there are no %zd nearest of %zd rows", k, pairs.count);
        goto all_held;
    }
    best = PyMem_New(Hit, k ? k : 1);
    if (!best) {
        PyErr_NoMemory();
        goto all_held;
    }
    Py_BEGIN_ALLOW_THREADS
    if (k)
        find_nearest(&pairs, best, k);
    for (Py_ssize_t at = 0; at < k; at++) {
        ((int64_t *)rows.buf)[at] = best[at].row;
        ((float *)into.buf)[at] = best[at].distance;
    }
    Py_END_ALLOW_THREADS
    done = Py_NewRef(Py_None);
all_held:
    PyMem_Free(best);
    PyBuffer_Release(&into);
rows_held:
    PyBuffer_Release(&rows);
pairs_held:
    let_go(&pairs);
    return done;
}

/* ---- cells of a text column --------------------------------------------------------------------------- */

/* Some cells of an Arrow string column: where each begins and ends in `data`. */
typedef struct {
    Py_ssize_t count;
    const char *data;
    Py_ssize_t (*ends)[2]; /* the second is IS_NULL where there is no text */
    Py_buffer held;
} Cells;

enum { IS_NULL = -1 };

/* From offsets (int32 or int64), data, and rows (int64 or uint32). On success `data` is held, and `ends` made.
 * `bits` NULL: no cell is null. */
static int
read_cells(Cells *cells, PyObject *given_offsets, PyObject *given_data, const Py_buffer *bits, PyObject *given_rows)
{
    Py_buffer offsets, rows;
    int flags = PyBUF_FORMAT | PyBUF_ND | PyBUF_C_CONTIGUOUS;
    cells->ends = NULL;
    if (PyObject_GetBuffer(given_offsets, &offsets, flags) < 0)
        return -1;
    if (PyObject_GetBuffer(given_data, &cells->held, PyBUF_SIMPLE) < 0)
        goto offsets_held;
    if (PyObject_GetBuffer(given_rows, &rows, flags) < 0)
        goto data_held;
    int wide = is_of(&offsets, INT64, 8), wide_rows = is_of(&rows, INT64, 8);
    if (offsets.ndim != 1 || rows.ndim != 1 || (!wide && !is_of(&offsets, INT32, 4)) ||
        (!wide_rows && !is_of(&rows, UINT32, 4))) {
        PyErr_SetString(PyExc_TypeError, "offsets are lines of int32 or int64, rows of uint32 or int64, aligned");
        goto rows_held;
    }
    cells->data = cells->held.buf;
    cells->count = rows.shape[0];
    cells->ends = PyMem_Malloc((size_t)(cells->count ? cells->count : 1) * sizeof *cells->ends);
    if (!cells->ends) {
        PyErr_NoMemory();
        goto rows_held;
    }
    for (Py_ssize_t at = 0; at < cells->count; at++) {
        int64_t row = wide_rows ? ((const int64_t *)rows.buf)[at] : ((const uint32_t *)rows.buf)[at];
        if (row < 0 || row >= offsets.shape[0] - 1 || (bits && row / 8 >= bits->len)) {
            PyErr_Format(PyExc_IndexError, "cell %lld of %zd", (long long)row, offsets.shape[0] - 1);
            goto rows_held;
        }
        cells->ends[at][0] = row; /* for now */
        PREFETCH((const char *)offsets.buf + row * offsets.itemsize);
    }
    for (Py_ssize_t at = 0; at < cells->count; at++) {
        Py_ssize_t row = cells->ends[at][0];
        int64_t start = wide ? ((const int64_t *)offsets.buf)[row] : ((const int32_t *)offsets.buf)[row];
        int64_t end = wide ? ((const int64_t *)offsets.buf)[row + 1] : ((const int32_t *)offsets.buf)[row + 1];
        if (start < 0 || end < start || end > cells->held.len) {
            PyErr_Format(PyExc_ValueError, "cell %zd is from %lld to %lld of %zd bytes", row, (long long)start,
                         (long long)end, cells->held.len);
            goto rows_held;
        }
        int null = bits && !(((const uint8_t *)bits->buf)[row / 8] >> (row % 8) & 1);
        cells->ends[at][0] = (Py_ssize_t)start;
        cells->ends[at][1] = null ? IS_NULL : (Py_ssize_t)end;
        PREFETCH(cells->data + start);
    }
    PyBuffer_Release(&rows);
    PyBuffer_Release(&offsets);
    return 0;
rows_held:
    PyMem_Free(cells->ends);
    PyBuffer_Release(&rows);
data_held:
    PyBuffer_Release(&cells->held);
offsets_held:
    PyBuffer_Release(&offsets);
    return -1;
}

static void
free_cells(Cells *cells)
{
    PyMem_Free(cells->ends);
    PyBuffer_Release(&cells->held);
}

PyDoc_STRVAR(texts_doc,
             "texts(offsets, data, validity, rows): the cells of these rows, str or None. `validity`: a bit for\n"
             "each cell, or None, where none is null.");

static PyObject *
texts(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Cells cells;
    Py_buffer bits;
    PyObject *out = NULL;
    if (arguments("texts", given, 4) < 0)
        return NULL;
    int some = args[2] != Py_None;
    if (some && PyObject_GetBuffer(args[2], &bits, PyBUF_SIMPLE) < 0)
        return NULL;
    if (read_cells(&cells, args[0], args[1], some ? &bits : NULL, args[3]) == 0) {
        out = PyList_New(cells.count);
        for (Py_ssize_t at = 0; out && at < cells.count; at++) {
            Py_ssize_t start = cells.ends[at][0], end = cells.ends[at][1];
            PyObject *text = end == IS_NULL ? Py_NewRef(Py_None)
                                            : PyUnicode_DecodeUTF8(cells.data + start, end - start, "strict");
            if (text)
                PyList_SET_ITEM(out, at, text);
            else
                Py_CLEAR(out);
        }
        free_cells(&cells);
    }
    if (some)
        PyBuffer_Release(&bits);
    return out;
}

PyDoc_STRVAR(array_doc,
             "json_array(offsets, data, rows): the cells of these rows, JSON each, as one JSON array; null where a\n"
             "cell is empty.");

static PyObject *
json_array(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Cells cells;
    if (arguments("json_array", given, 3) < 0 || read_cells(&cells, args[0], args[1], NULL, args[2]) < 0)
        return NULL;
    Py_ssize_t size = cells.count ? 1 : 2;
    for (Py_ssize_t at = 0; at < cells.count; at++) {
        Py_ssize_t bytes = cells.ends[at][1] - cells.ends[at][0];
        size += 1 + (bytes ? bytes : 4);
    }
    PyObject *out = PyBytes_FromStringAndSize(NULL, size);
    if (out) {
        char *to = PyBytes_AS_STRING(out);
        *to++ = '[';
        for (Py_ssize_t at = 0; at < cells.count; at++) {
            Py_ssize_t bytes = cells.ends[at][1] - cells.ends[at][0];
            if (at)
                *to++ = ',';
            memcpy(to, bytes ? cells.data + cells.ends[at][0] : "null", (size_t)(bytes ? bytes : 4));
            to += bytes ? bytes : 4;
        }
        *to = ']';
    }
    free_cells(&cells);
    return out;
}

PyDoc_STRVAR(encoded_doc,
             "encoded(texts): a list of str and None as a text column: where each begins and the last one ends,\n"
             "int64 as bytes; all of them as UTF-8; how many are None.");

static PyObject *
encoded(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    if (arguments("encoded", given, 1) < 0)
        return NULL;
    if (!PyList_CheckExact(args[0])) {
        PyErr_SetString(PyExc_TypeError, "texts are a list");
        return NULL;
    }
    Py_ssize_t count = PyList_GET_SIZE(args[0]), nulls = 0, size;
    PyObject *data = NULL, *offsets = PyBytes_FromStringAndSize(NULL, (count + 1) * 8);
    if (!offsets)
        return NULL;
    int64_t *ends = (int64_t *)PyBytes_AS_STRING(offsets); /* on an 8-byte border, as all objects are */
    ends[0] = 0;
    for (Py_ssize_t at = 0; at < count; at++) {
        PyObject *text = PyList_GET_ITEM(args[0], at);
        ends[at + 1] = ends[at];
        if (text == Py_None) {
            nulls++;
            continue;
        }
        if (!PyUnicode_Check(text)) {
            PyErr_Format(PyExc_TypeError, "text %zd is %R", at, (PyObject *)Py_TYPE(text));
            goto failed;
        }
        if (!PyUnicode_AsUTF8AndSize(text, &size))
            goto failed;
        ends[at + 1] += size;
    }
    data = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)ends[count]);
    if (!data)
        goto failed;
    char *to = PyBytes_AS_STRING(data);
    for (Py_ssize_t at = 0; at < count; at++) {
        PyObject *text = PyList_GET_ITEM(args[0], at);
        if (text != Py_None) {
            const char *from = PyUnicode_AsUTF8AndSize(text, &size); /* made above, and kept by the text */
            memcpy(to + ends[at], from, (size_t)size);
        }
    }
    return Py_BuildValue("NNn", offsets, data, nulls);
failed:
    Py_DECREF(offsets);
    return NULL;
}

/* ---- columns of a file, before their first use -------------------------------------------------------- */

/* Whether a number is less than the one before. */
WIDE static int
falls_narrow(const int32_t *at, Py_ssize_t count)
{
    int falls = 0;
    for (Py_ssize_t each = 1; each < count; each++)
        falls |= at[each] < at[each - 1];
    return falls;
}

WIDE static int
falls(const int64_t *at, Py_ssize_t count)
{
    int64_t falls = 0;
    for (Py_ssize_t each = 1; each < count; each++)
        falls |= at[each] < at[each - 1];
    return falls != 0;
}

WIDE static uint32_t
largest(const uint32_t *at, Py_ssize_t count)
{
    uint32_t most = 0;
    for (Py_ssize_t each = 0; each < count; each++)
        most = at[each] > most ? at[each] : most;
    return most;
}

PyDoc_STRVAR(offsets_fit_doc,
             "offsets_fit(offsets, size): whether offsets, int32 or int64, begin at 0 or later, never fall, and end\n"
             "within so many bytes.");

static PyObject *
offsets_fit(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Py_buffer offsets;
    if (arguments("offsets_fit", given, 2) < 0)
        return NULL;
    Py_ssize_t size = PyLong_AsSsize_t(args[1]);
    if (size == -1 && PyErr_Occurred())
        return NULL;
    if (PyObject_GetBuffer(args[0], &offsets, PyBUF_FORMAT | PyBUF_ND | PyBUF_C_CONTIGUOUS) < 0)
        return NULL;
    int wide = is_of(&offsets, INT64, 8);
    if (offsets.ndim != 1 || !offsets.shape[0] || (!wide && !is_of(&offsets, INT32, 4))) {
        PyErr_SetString(PyExc_TypeError, "offsets are a line of int32 or int64, aligned, and not empty");
        PyBuffer_Release(&offsets);
        return NULL;
    }
    Py_ssize_t count = offsets.shape[0];
    int wrong = 0;
    if (wide) {
        const int64_t *at = offsets.buf;
        wrong = at[0] < 0 || at[count - 1] > size || falls(at, count);
    } else {
        const int32_t *at = offsets.buf;
        wrong = at[0] < 0 || at[count - 1] > size || falls_narrow(at, count);
    }
    PyBuffer_Release(&offsets);
    return PyBool_FromLong(!wrong);
}

PyDoc_STRVAR(ascends_doc, "ascends(numbers): whether no number of int64 (n,) is less than the one before.");

static PyObject *
ascends(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Py_buffer numbers;
    if (arguments("ascends", given, 1) < 0 || get(args[0], &numbers, "numbers", 1, INT64, 8, 0) < 0)
        return NULL;
    int wrong = falls(numbers.buf, numbers.shape[0]);
    PyBuffer_Release(&numbers);
    return PyBool_FromLong(!wrong);
}

PyDoc_STRVAR(names_each_doc,
             "names_each(rows): whether every number from 0 on, as many as there are, is among the rows, uint32 (n,).");

static PyObject *
names_each(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Py_buffer rows;
    if (arguments("names_each", given, 1) < 0 || get(args[0], &rows, "rows", 1, UINT32, 4, 0) < 0)
        return NULL;
    const uint32_t *row = rows.buf;
    Py_ssize_t count = rows.shape[0];
    uint8_t *seen = PyMem_Calloc((size_t)count + 1, 1);
    if (!seen) {
        PyBuffer_Release(&rows);
        return PyErr_NoMemory();
    }
    int right = !count || largest(row, count) < count;
    for (Py_ssize_t each = 0; right && each < count; each++)
        seen[row[each]] = 1;
    right = right && !memchr(seen, 0, (size_t)count);
    PyMem_Free(seen);
    PyBuffer_Release(&rows);
    return PyBool_FromLong(right);
}

/* ---- files ------------------------------------------------------------------------------------------ */

PyDoc_STRVAR(same_file_doc,
             "same_file(path, device, inode): whether the path, bytes, refers to this file. Raises OSError if the system\n"
             "does not say. Keeps the GIL: releasing it would let another thread take it for milliseconds, and every\n"
             "read asks.");

static PyObject *
same_file(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    struct stat found;
    if (arguments("same_file", given, 3) < 0)
        return NULL;
    char *path;
    if (PyBytes_AsStringAndSize(args[0], &path, NULL) < 0) /* refuses a NUL byte */
        return NULL;
    unsigned long long device = PyLong_AsUnsignedLongLong(args[1]);
    if (PyErr_Occurred())
        return NULL;
    unsigned long long inode = PyLong_AsUnsignedLongLong(args[2]);
    if (PyErr_Occurred())
        return NULL;
    if (stat(path, &found) == 0)
        return PyBool_FromLong((unsigned long long)found.st_dev == device && (unsigned long long)found.st_ino == inode);
    if (errno == ENOENT || errno == ENOTDIR)
        Py_RETURN_FALSE;
    return PyErr_SetFromErrno(PyExc_OSError);
}

/* ---- the module --------------------------------------------------------------------------------------- */

static PyMethodDef methods[] = {
    {"distances", (PyCFunction)(void (*)(void))distances, METH_FASTCALL, distances_doc},
    {"lengths", (PyCFunction)(void (*)(void))lengths, METH_FASTCALL, lengths_doc},
    {"scan", (PyCFunction)(void (*)(void))scan, METH_FASTCALL, scan_doc},
    {"nearest", (PyCFunction)(void (*)(void))nearest, METH_FASTCALL, nearest_doc},
    {"texts", (PyCFunction)(void (*)(void))texts, METH_FASTCALL, texts_doc},
    {"json_array", (PyCFunction)(void (*)(void))json_array, METH_FASTCALL, array_doc},
    {"encoded", (PyCFunction)(void (*)(void))encoded, METH_FASTCALL, encoded_doc},
    {"offsets_fit", (PyCFunction)(void (*)(void))offsets_fit, METH_FASTCALL, offsets_fit_doc},
    {"ascends", (PyCFunction)(void (*)(void))ascends, METH_FASTCALL, ascends_doc},
    {"names_each", (PyCFunction)(void (*)(void))names_each, METH_FASTCALL, names_each_doc},
    {"same_file", (PyCFunction)(void (*)(void))same_file, METH_FASTCALL, same_file_doc},
    {NULL, NULL, 0, NULL},
};

/* What storage/native/kernel.py compares, so that a library that was compiled from an older source is not used. */
static int
add_version(PyObject *module)
{
    choose_rough_product();
    if (share_taken() < 0)
        return -1;
    return PyModule_AddIntConstant(module, "VERSION", 7);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)add_version}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_kernel", .m_doc = "See storage/native/kernel.py.", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__kernel(void)
{
    return PyModuleDef_Init(&definition);
}
