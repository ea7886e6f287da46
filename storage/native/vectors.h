/* What the compiled parts share: checks of arguments, the one distance of two vectors, hits in rank order, and the
 * product with a projection.
 *
 * Distances: products of float32 values summed in float64 in one fixed order, so that a pair of vectors has one
 * number on every path and on every machine (the build forbids fused multiply-add), rounded to float32 once.
 */
#ifndef CHROMA_VECTORS_H
#define CHROMA_VECTORS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)0)
#endif

/* The same sums, in wider registers where the processor has them. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

/* ---- instructions --------------------------------------------------------------------------------------- */

enum { PLAIN, AVX2, AVX512, NEON };

/* The widest instructions that this processor has. Tests compare them with the narrower ones: CHROMA_PLAIN_CODES is "1"
 * for none, "2" for AVX2 at most. */
static inline int
widest_instructions(void)
{
    const char *at_most = getenv("CHROMA_PLAIN_CODES");
    if (at_most && *at_most == '1')
        return PLAIN;
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && !(at_most && *at_most == '2'))
        return AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return AVX2;
#elif defined(__ARM_NEON)
    return NEON;
#endif
    return PLAIN;
}

enum { LANES = 8, LINE = 64 }; /* sums at a time; bytes of a cache line */

/* ---- arguments ---------------------------------------------------------------------------------------- */

/* Types of numbers, by the letters that the struct module has for them. */
#define FLOAT "f"
#define DOUBLE "d"
#define INT32 "il"
#define UINT32 "IL"
#define INT64 "lq"

/* Whether a buffer has numbers of this type and size, in this machine's order of bytes and where it may read them. */
static int
is_of(const Py_buffer *buffer, const char *letters, Py_ssize_t size)
{
    const char *format = buffer->format;
    if (*format == '@' || *format == '=' || (*format == '<' && PY_LITTLE_ENDIAN))
        format++;
    return *format && strchr(letters, *format) && !format[1] && buffer->itemsize == size &&
           (uintptr_t)buffer->buf % (uintptr_t)size == 0;
}

/* A C-contiguous buffer of `ndim` dimensions of such numbers. */
static int
get(PyObject *object, Py_buffer *out, const char *name, int ndim, const char *letters, Py_ssize_t size,
    int writable)
{
    int flags = PyBUF_FORMAT | PyBUF_ND | PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(object, out, flags) < 0)
        return -1;
    if (out->ndim == ndim && is_of(out, letters, size))
        return 0;
    PyErr_Format(PyExc_TypeError, "%s has %d dimensions of type %s, not %d of %c, or is not aligned", name,
                 out->ndim, out->format, ndim, letters[0]);
    PyBuffer_Release(out);
    return -1;
}

static int
counted(const char *name, Py_ssize_t found, Py_ssize_t wanted)
{
    if (found == wanted)
        return 0;
    PyErr_Format(PyExc_ValueError, "%s has a length of %zd, not %zd", name, found, wanted);
    return -1;
}

static int
arguments(const char *name, Py_ssize_t given, Py_ssize_t wanted)
{
    if (given == wanted)
        return 0;
    PyErr_Format(PyExc_TypeError, "%s takes %zd arguments, not %zd", name, wanted, given);
    return -1;
}

/* ---- the interpreter's lock ---------------------------------------------------------------------------- */

/* A search gives the lock away and takes it back, as Py_BEGIN_ALLOW_THREADS does. If another thread has it then, and
 * has it since its own search, it will give it away with its next one, after some 40 us of Python. A thread that
 * sleeps until then is woken 50 us late, and its lateness delays the other one in turn: two threads made fewer
 * searches than one. So it waits actively, until the other one has had the lock for longer than that usually takes. It
 * may have given it away otherwise, for example because it waits for a request.
 *
 * `taken` is when a thread that came back from its search took the lock, in nanoseconds; 0: nobody, or it was given away
 * by the next search. All compiled parts share it. */
static int64_t taken_here, *taken = &taken_here;

#define TAKEN_NAME "chroma.storage.native.taken"
enum { ACTIVE_NS = 100000, ROUNDS = 16 }; /* between two looks at the clock */

static inline int64_t
clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Uses the variable of the compiled part that was loaded first. */
static inline int
share_taken(void)
{
    PyObject *all = PyInterpreterState_GetDict(PyInterpreterState_Get()), *name, *capsule;
    if (!all)
        return 0; /* of an interpreter without it, each part has its own */
    name = PyUnicode_FromString(TAKEN_NAME);
    capsule = name ? PyDict_GetItemWithError(all, name) : NULL;
    Py_XINCREF(capsule);
    if (!capsule && !PyErr_Occurred() && (capsule = PyCapsule_New(&taken_here, TAKEN_NAME, NULL)) &&
        PyDict_SetItem(all, name, capsule) < 0)
        Py_CLEAR(capsule);
    int64_t *shared = capsule ? PyCapsule_GetPointer(capsule, TAKEN_NAME) : NULL;
    Py_XDECREF(capsule);
    Py_XDECREF(name);
    taken = shared ? shared : &taken_here;
    return shared ? 0 : -1;
}

static inline PyThreadState *
give_lock(void)
{
    __atomic_store_n(taken, 0, __ATOMIC_RELEASE); /* nobody else can have it now */
    return PyEval_SaveThread();
}

static inline void
take_lock(PyThreadState *state)
{
    int64_t since;
    for (int round = 0; (since = __atomic_load_n(taken, __ATOMIC_ACQUIRE)); round++) {
        if (round % ROUNDS == 0 && clock_ns() - since > ACTIVE_NS)
            break;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }
    PyEval_RestoreThread(state);
    __atomic_store_n(taken, clock_ns(), __ATOMIC_RELEASE);
}

/* ---- distances ---------------------------------------------------------------------------------------- */

typedef enum { COSINE, L2, IP } Space;

static int
read_space(PyObject *object, Space *out)
{
    static const char *const names[] = {"cosine", "l2", "ip"};
    for (int each = 0; PyUnicode_Check(object) && each < 3; each++) {
        if (PyUnicode_CompareWithASCIIString(object, names[each]) == 0) {
            *out = (Space)each;
            return 0;
        }
    }
    PyErr_Format(PyExc_ValueError, "%R is no space: cosine, l2 or ip", object);
    return -1;
}

static double
total(const double *sums)
{
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

WIDE static double
product(const float *vector, const double *query, Py_ssize_t dimension)
{
    double sums[LANES] = {0};
    Py_ssize_t at = 0;
    for (; at + LANES <= dimension; at += LANES)
        for (int lane = 0; lane < LANES; lane++)
            sums[lane] += (double)vector[at + lane] * query[at + lane];
    for (; at < dimension; at++)
        sums[at % LANES] += (double)vector[at] * query[at];
    return total(sums);
}

WIDE static double
squared_difference(const float *vector, const double *query, Py_ssize_t dimension)
{
    double sums[LANES] = {0};
    Py_ssize_t at = 0;
    for (; at + LANES <= dimension; at += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            double difference = (double)vector[at + lane] - query[at + lane];
            sums[lane] += difference * difference;
        }
    for (; at < dimension; at++) {
        double difference = (double)vector[at] - query[at];
        sums[at % LANES] += difference * difference;
    }
    return total(sums);
}

WIDE static double
square_of(const float *vector, Py_ssize_t dimension)
{
    double sums[LANES] = {0};
    Py_ssize_t at = 0;
    for (; at + LANES <= dimension; at += LANES)
        for (int lane = 0; lane < LANES; lane++)
            sums[lane] += (double)vector[at + lane] * (double)vector[at + lane];
    for (; at < dimension; at++)
        sums[at % LANES] += (double)vector[at] * (double)vector[at];
    return total(sums);
}

/* Never 0, so that it can be divided by: of a zero vector each product is 0, and so the distance 1. */
static double
length_of(const float *vector, Py_ssize_t dimension)
{
    double length = sqrt(square_of(vector, dimension));
    return length > DBL_MIN ? length : DBL_MIN;
}

/* ---- hits (vectors are finite, so no distance is NaN) ------------------------------------------------- */

typedef struct {
    float distance;
    int64_t row;
} Hit;

static int
before(Hit one, Hit other)
{
    return one.distance < other.distance || (one.distance == other.distance && one.row < other.row);
}

static int
compare(const void *one, const void *other)
{
    Hit first = *(const Hit *)one, second = *(const Hit *)other;
    return before(first, second) ? -1 : before(second, first);
}

/* Puts the hit at `at` where it belongs in a heap whose root is the last of the hits. */
static void
sink(Hit *heap, Py_ssize_t count, Py_ssize_t at)
{
    Hit moved = heap[at];
    for (;;) {
        Py_ssize_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && before(heap[child], heap[child + 1]))
            child++;
        if (!before(moved, heap[child]))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

/* ---- projections ---------------------------------------------------------------------------------------- */

/* A line of numbers times a matrix, in float32; what is made of it only finds candidates. */
WIDE static void
multiply(const float *line, const float *matrix, Py_ssize_t height, Py_ssize_t width, float *restrict out)
{
    memset(out, 0, (size_t)width * sizeof *out);
    Py_ssize_t at = 0;
    for (; at + 4 <= height; at += 4) { /* four rows at a time: a quarter of the reads and writes of `out` */
        const float *first = matrix + at * width, *second = first + width;
        const float *third = second + width, *fourth = third + width;
        float a = line[at], b = line[at + 1], c = line[at + 2], d = line[at + 3];
        for (Py_ssize_t column = 0; column < width; column++)
            out[column] += (a * first[column] + b * second[column]) + (c * third[column] + d * fourth[column]);
    }
    for (; at < height; at++)
        for (Py_ssize_t column = 0; column < width; column++)
            out[column] += line[at] * matrix[at * width + column];
}

#endif
