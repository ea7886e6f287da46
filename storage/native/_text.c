/* Which documents contain a text, and the bits of an index over the n-grams of documents. Both have a twin in numpy
 * (filters/document_scan.py, index/ngrams.py), which answers the same where no compiler was at hand.
 *
 * Both read the bytes of all documents, one after the other. In UTF-8 a match begins only where a character begins, so
 * comparing bytes is enough.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

#if PY_BIG_ENDIAN
#error "the bits of a word are not in the order of its bytes: numpy does the work"
#endif

/* The same comparisons, in wider registers where the processor has them. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

enum { BLOCK = 64, PREFIX = 16, GRAM = 3, WORD = 64, LINE = 64, AHEAD = 8 };
#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)0)
#endif
#define GATHER UINT64_C(0x0102040810204080)

/* ---- arguments ---------------------------------------------------------------------------------------- */

/* A contiguous, aligned buffer of items of this size. */
static int
get(PyObject *object, Py_buffer *out, const char *name, Py_ssize_t size, int writable)
{
    int flags = PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(object, out, flags) < 0)
        return -1;
    if (out->itemsize == size && (uintptr_t)out->buf % (uintptr_t)size == 0)
        return 0;
    PyErr_Format(PyExc_TypeError, "%s has items of %zd bytes, not %zd, or is not aligned", name, out->itemsize, size);
    PyBuffer_Release(out);
    return -1;
}

/* Where the texts of a column begin, and where the last one ends: int32 or int64. */
static int
get_offsets(PyObject *object, Py_buffer *out)
{
    if (PyObject_GetBuffer(object, out, PyBUF_C_CONTIGUOUS) < 0)
        return -1;
    if ((out->itemsize == 4 || out->itemsize == 8) && (uintptr_t)out->buf % (uintptr_t)out->itemsize == 0)
        return 0;
    PyErr_SetString(PyExc_TypeError, "offsets are neither int32 nor int64, or not aligned");
    PyBuffer_Release(out);
    return -1;
}

static void
release(Py_buffer *buffers, int count)
{
    while (count > 0)
        PyBuffer_Release(&buffers[--count]);
}

/* ---- documents that contain a text ------------------------------------------------------------------ */

typedef struct {
    const unsigned char *data, *needle;
    Py_ssize_t size, length; /* of both */
    Py_ssize_t one, two, three;     /* where the needle's rarest bytes are */
    const void *offsets;
    int wide; /* whether the offsets have 64 bits */
    Py_ssize_t rows, row; /* how many, and where the last match was */
    Py_ssize_t found, done; /* how many documents; up to where nothing more is to be found */
    size_t prefix; /* how many bytes are compared at once */
    unsigned char *out;
} Scan;

static inline Py_ssize_t
offset_of(const Scan *scan, Py_ssize_t row)
{
    return scan->wide ? (Py_ssize_t)((const int64_t *)scan->offsets)[row] : (Py_ssize_t)((const int32_t *)scan->offsets)[row];
}

/* Which of the next BLOCK places have the three bytes: bit `n` for the place at + n. */
static inline uint64_t
hits(const unsigned char *first, const unsigned char *second, const unsigned char *third, unsigned char a,
     unsigned char b, unsigned char c)
{
    unsigned char same[BLOCK];
    uint64_t words[BLOCK / 8], any = 0, bits = 0;
    for (int each = 0; each < BLOCK; each++)
        same[each] = (first[each] == a) & (second[each] == b) & (third[each] == c);
    memcpy(words, same, BLOCK);
    for (int each = 0; each < BLOCK / 8; each++)
        any |= words[each];
    if (any) { /* each word has eight times 0 or 1; the product gathers them in its highest byte */
        for (int each = 0; each < BLOCK / 8; each++)
            bits |= (words[each] * GATHER >> 56) << 8 * each;
    }
    return bits;
}

static inline int
lowest(uint64_t bits)
{
#if defined(__GNUC__)
    return __builtin_ctzll(bits);
#else
    int at = 0;
    while (!(bits >> at & 1))
        at++;
    return at;
#endif
}

/* Whether the needle's first bytes are here. */
static inline int
begins(const Scan *scan, Py_ssize_t at)
{
    if (scan->length >= 4) {
        uint32_t here, there;
        memcpy(&here, scan->data + at, 4);
        memcpy(&there, scan->needle, 4);
        return here == there && (scan->length == 4 || memcmp(scan->data + at + 4, scan->needle + 4, scan->prefix - 4) == 0);
    }
    return memcmp(scan->data + at, scan->needle, scan->prefix) == 0;
}

/* Move to the row with this byte: the last one that begins at or before it. */
static inline void
move_to(Scan *scan, Py_ssize_t at)
{
    for (int each = 0; each < 8; each++) {
        if (at < offset_of(scan, scan->row + 1))
            return;
        scan->row++;
    }
    Py_ssize_t low = scan->row, high = scan->rows - 1;
    while (low < high) {
        Py_ssize_t middle = low + (high - low) / 2;
        if (at < offset_of(scan, middle + 1))
            high = middle;
        else
            low = middle + 1;
    }
    scan->row = low;
}

/* Look at a place with a hit. Returns where to go on: behind the document, if there is nothing more to find in it. */
static inline Py_ssize_t
look(Scan *scan, Py_ssize_t at)
{
    if (!begins(scan, at))
        return at + 1;
    move_to(scan, at);
    Py_ssize_t end = scan->done = offset_of(scan, scan->row + 1);
    if (end - at < scan->length) /* it ends in another document; this one has no room for it any more */
        return end;
    /* One look through the rest of the document, so that a document of a million equal letters takes no longer than
     * any other. */
    if (scan->length > PREFIX &&
        !memmem(scan->data + at, (size_t)(end - at), scan->needle, (size_t)scan->length))
        return end;
    scan->found += !scan->out[scan->row];
    scan->out[scan->row] = 1;
    return end;
}

/* Mark the documents with a match that begins from `at` and before `stop`, and perhaps others that have one. */
WIDE static void
search(Scan *scan, Py_ssize_t at, Py_ssize_t stop)
{
    const unsigned char *first = scan->data + scan->one, *second = scan->data + scan->two;
    const unsigned char *third = scan->data + scan->three;
    unsigned char a = scan->needle[scan->one], b = scan->needle[scan->two], c = scan->needle[scan->three];
    while (at + BLOCK <= stop) {
        uint64_t bits = hits(first + at, second + at, third + at, a, b, c);
        Py_ssize_t begin = at, next = at;
        for (at += BLOCK; bits; bits &= bits - 1) {
            Py_ssize_t place = begin + lowest(bits);
            if (place >= next)
                next = look(scan, place);
        }
        if (next > at)
            at = next;
    }
    while (at < stop)
        at = first[at] == a ? look(scan, at) : at + 1;
}

static Py_ssize_t
count_bits(const uint64_t *words, Py_ssize_t count)
{
    Py_ssize_t bits = 0;
    for (Py_ssize_t word = 0; word < count; word++) {
        for (uint64_t rest = words[word]; rest; rest &= rest - 1)
            bits++;
    }
    return bits;
}

/* Search in single units. They lie far apart, so the bytes of the next ones are fetched meanwhile. `begins` has room
 * for as many as there are bits. */
static void
search_units(Scan *scan, const uint64_t *words, Py_ssize_t count, Py_ssize_t unit, Py_ssize_t stop, Py_ssize_t *begins)
{
    Py_ssize_t units = 0;
    for (Py_ssize_t word = 0; word < count; word++) {
        for (uint64_t rest = words[word]; rest; rest &= rest - 1) {
            Py_ssize_t begin = (word * WORD + lowest(rest)) * unit;
            if (begin < stop)
                begins[units++] = begin;
        }
    }
    for (Py_ssize_t each = 0; each < units; each++) {
        if (each + AHEAD < units) {
            const unsigned char *next = scan->data + begins[each + AHEAD];
            for (Py_ssize_t at = 0; at < unit && begins[each + AHEAD] + at < scan->size; at += LINE)
                PREFETCH(next + at);
        }
        Py_ssize_t begin = begins[each], last = stop - begin < unit ? stop : begin + unit;
        if (begin < scan->done) /* the document of a match, or one that was searched to its end */
            begin = scan->done;
        if (begin < last)
            search(scan, begin, last);
    }
}

static int
valid_offsets(const Scan *scan)
{
    Py_ssize_t before = 0;
    for (Py_ssize_t row = 0; row <= scan->rows; row++) {
        Py_ssize_t here = offset_of(scan, row);
        if (here < before || here > scan->size)
            return 0;
        before = here;
    }
    return offset_of(scan, 0) == 0 && before == scan->size;
}

PyDoc_STRVAR(contains_doc,
             "contains(offsets, data, needle, one, two, three, units, unit, out): set out[row] to 1 for each document that\n"
             "contains the needle. Returns how many were set. Document `row` has the bytes from offsets[row] to\n"
             "offsets[row + 1]; the offsets are int32 or int64. `one`, `two` and `three` are the places of bytes of the\n"
             "needle that are rare. With `units`, an array of 64-bit words, only matches that begin in a unit of `unit` bytes\n"
             "whose bit is set are looked for.");

static PyObject *
contains(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    if (given != 9) {
        PyErr_Format(PyExc_TypeError, "contains takes 9 arguments, not %zd", given);
        return NULL;
    }
    Py_buffer held[5];
    int count = 0;
    Scan scan = {0};
    PyObject *answer = NULL;
    scan.one = PyLong_AsSsize_t(args[3]);
    scan.two = PyLong_AsSsize_t(args[4]);
    scan.three = PyLong_AsSsize_t(args[5]);
    Py_ssize_t unit = PyLong_AsSsize_t(args[7]);
    if (PyErr_Occurred())
        return NULL;
    if (get_offsets(args[0], &held[count]) < 0)
        return NULL;
    count++;
    if (get(args[1], &held[count], "data", 1, 0) < 0)
        goto done;
    count++;
    if (get(args[2], &held[count], "needle", 1, 0) < 0)
        goto done;
    count++;
    if (get(args[8], &held[count], "out", 1, 1) < 0)
        goto done;
    count++;
    scan.offsets = held[0].buf;
    scan.wide = held[0].itemsize == 8;
    scan.rows = held[0].len / held[0].itemsize - 1;
    scan.data = held[1].buf;
    scan.size = held[1].len;
    scan.needle = held[2].buf;
    scan.length = held[2].len;
    scan.out = held[3].buf;
    const uint64_t *words = NULL;
    Py_ssize_t word_count = 0;
    if (args[6] != Py_None) {
        if (get(args[6], &held[count], "units", 8, 0) < 0)
            goto done;
        words = held[count].buf;
        word_count = held[count].len / 8;
        count++;
    }
    if (scan.rows < 0 || held[3].len != scan.rows || scan.length < 1 || scan.one < 0 || scan.one >= scan.length ||
        scan.two < 0 || scan.two >= scan.length || scan.three < 0 || scan.three >= scan.length || unit < 1 || unit > 1 << 20 || !valid_offsets(&scan)) {
        PyErr_SetString(PyExc_ValueError, "the documents, the needle and the places in it do not fit each other");
        goto done;
    }
    Py_ssize_t stop = scan.size - scan.length + 1;
    scan.prefix = (size_t)(scan.length < PREFIX ? scan.length : PREFIX);
    /* Up to an eighth, looking at single units is faster than looking at everything in one go. */
    Py_ssize_t bits = words == NULL ? 0 : count_bits(words, word_count);
    Py_ssize_t *begins = NULL;
    if (words != NULL && bits <= word_count * WORD / 8) {
        begins = PyMem_Malloc((size_t)(bits + 1) * sizeof *begins);
        if (begins == NULL) {
            PyErr_NoMemory();
            goto done;
        }
    }
    Py_BEGIN_ALLOW_THREADS
    if (begins != NULL)
        search_units(&scan, words, word_count, unit, stop, begins);
    else if (stop > 0)
        search(&scan, 0, stop);
    Py_END_ALLOW_THREADS
    PyMem_Free(begins);
    answer = PyLong_FromSsize_t(scan.found);
done:
    release(held, count);
    return answer;
}

/* ---- documents that a regular expression matches ---------------------------------------------------- */

#include "automaton.h"

PyDoc_STRVAR(matches_doc,
             "matches(offsets, data, program, start, first, stop, rows, out, backwards): set out[row] for each document from `first`\n"
             "to before `stop` to whether a program matches somewhere in it. With `rows`, an array of int64, these are\n"
             "places in it, and out[n] is about the document rows[n]. Returns False if the program needs too many states\n"
             "or too much memory. A program (instructions, 4) of int32 is as in filters/regex_program.py; one that reads\n"
             "`backwards` begins at the end of each document.");

static PyObject *
matches(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    if (given != 9) {
        PyErr_Format(PyExc_TypeError, "matches takes 9 arguments, not %zd", given);
        return NULL;
    }
    Py_ssize_t start = PyLong_AsSsize_t(args[3]), first = PyLong_AsSsize_t(args[4]), stop = PyLong_AsSsize_t(args[5]);
    int backwards = PyObject_IsTrue(args[8]);
    if (PyErr_Occurred())
        return NULL;
    Py_buffer held[5];
    int count = 0;
    PyObject *answer = NULL;
    if (get_offsets(args[0], &held[count]) < 0)
        return NULL;
    count++;
    if (get(args[1], &held[count], "data", 1, 0) < 0)
        goto done;
    count++;
    if (get(args[2], &held[count], "program", 4, 0) < 0)
        goto done;
    count++;
    if (get(args[7], &held[count], "out", 1, 1) < 0)
        goto done;
    count++;
    Texts texts = {0};
    texts.offsets = held[0].buf;
    texts.wide = held[0].itemsize == 8;
    texts.count = held[0].len / held[0].itemsize - 1;
    texts.data = held[1].buf;
    texts.size = held[1].len;
    texts.out = held[3].buf;
    texts.row = first;
    texts.stop = stop;
    Py_ssize_t most = texts.count;
    if (args[6] != Py_None) {
        if (get(args[6], &held[count], "rows", 8, 0) < 0)
            goto done;
        texts.rows = held[count].buf;
        most = held[count].len / 8;
        count++;
    }
    Py_ssize_t ops = held[2].len / (Py_ssize_t)sizeof(Op);
    if (texts.count < 0 || first < 0 || first > stop || stop > most || held[3].len != most ||
        held[2].len % (Py_ssize_t)sizeof(Op) || !valid_program(held[2].buf, ops, start)) {
        PyErr_SetString(PyExc_ValueError, "the documents, the rows and the program do not fit each other");
        goto done;
    }
    Automaton automaton;
    int outcome = 0;
    Py_BEGIN_ALLOW_THREADS
    uint32_t begin = prepare(&automaton, held[2].buf, (int32_t)ops, (int32_t)start);
    if (!automaton.failed) {
        if (begin < FIRST_STATE)
            memset(texts.out + first, begin == ACCEPT, (size_t)(stop - first));
        else {
            Probe probes[PROBES];
            int probing = 0;
            if (!backwards && texts.rows == NULL && first < stop && can_probe())
                probing = choose_probes(&automaton, probes, texts.data, texts.size);
            if (probing)
                outcome = read_probed(&automaton, &texts, begin, probes, probing);
            if (backwards)
                outcome = read_backwards(&automaton, &texts, begin);
            else if (outcome == 0 && !automaton.failed)
                outcome = read_texts(&automaton, &texts, begin);
        }
    }
    release_automaton(&automaton);
    Py_END_ALLOW_THREADS
    if (outcome < 0)
        PyErr_SetString(PyExc_ValueError, "a document does not lie within the bytes");
    else
        answer = PyBool_FromLong(!automaton.failed);
done:
    release(held, count);
    return answer;
}

/* ---- n-grams ------------------------------------------------------------------------------------------ */

PyDoc_STRVAR(ngrams_doc,
             "ngrams(data, unit, overlap, first, out): set the bits of the trigrams of some units. out (slices, words)\n"
             "has a line of bits per slice; bit `u` of a line is that of unit first * 64 + u. A trigram belongs to the\n"
             "slice of its hash, and to each unit in which it begins or in whose `overlap` next bytes it begins.");

static PyObject *
ngrams(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    if (given != 5) {
        PyErr_Format(PyExc_TypeError, "ngrams takes 5 arguments, not %zd", given);
        return NULL;
    }
    Py_ssize_t unit = PyLong_AsSsize_t(args[1]), overlap = PyLong_AsSsize_t(args[2]);
    Py_ssize_t first = PyLong_AsSsize_t(args[3]);
    if (PyErr_Occurred())
        return NULL;
    Py_buffer held[2];
    if (get(args[0], &held[0], "data", 1, 0) < 0)
        return NULL;
    int flags = PyBUF_ND | PyBUF_STRIDES | PyBUF_WRITABLE;
    if (PyObject_GetBuffer(args[4], &held[1], flags) < 0) {
        release(held, 1);
        return NULL;
    }
    const unsigned char *data = held[0].buf;
    Py_ssize_t size = held[0].len;
    PyObject *answer = NULL;
    uint64_t *bits = NULL;
    if (held[1].ndim != 2 || held[1].itemsize != 8 || held[1].strides[1] != 8 || held[1].strides[0] % 8 ||
        (uintptr_t)held[1].buf % 8 || held[1].shape[0] < 1 || held[1].shape[0] > 1 << 16 || unit < 1 || overlap < 0 ||
        first < 0 || size > PY_SSIZE_T_MAX / 2 || unit > 1 << 20 || overlap > 1 << 20 || first > PY_SSIZE_T_MAX >> 28) {
        PyErr_SetString(PyExc_ValueError, "the units and the bits do not fit each other");
        goto done;
    }
    uint64_t slices = (uint64_t)held[1].shape[0];
    bits = PyMem_Malloc(slices * sizeof *bits);
    if (!bits) {
        PyErr_NoMemory();
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t word = 0; word < held[1].shape[1]; word++) {
        memset(bits, 0, slices * sizeof *bits);
        for (int each = 0; each < WORD; each++) {
            Py_ssize_t begin = ((first + word) * WORD + each) * unit, stop = begin + unit + overlap;
            if (stop > size - GRAM + 1)
                stop = size - GRAM + 1;
            uint64_t bit = (uint64_t)1 << each;
            uint32_t gram = 0;
            if (begin < stop)
                gram = (uint32_t)data[begin] << 8 | data[begin + 1];
            for (Py_ssize_t at = begin; at < stop; at++) {
                gram = (gram << 8 | data[at + 2]) & 0xFFFFFF;
                bits[(uint64_t)(uint32_t)(gram * 2654435761u) * slices >> 32] |= bit;
            }
        }
        char *line = (char *)held[1].buf + word * 8;
        for (uint64_t slice = 0; slice < slices; slice++, line += held[1].strides[0])
            *(uint64_t *)line = bits[slice];
    }
    Py_END_ALLOW_THREADS
    answer = Py_NewRef(Py_None);
done:
    PyMem_Free(bits);
    release(held, 2);
    return answer;
}

/* ---- the module --------------------------------------------------------------------------------------- */

static PyMethodDef methods[] = {
    {"contains", (PyCFunction)(void (*)(void))contains, METH_FASTCALL, contains_doc},
    {"matches", (PyCFunction)(void (*)(void))matches, METH_FASTCALL, matches_doc},
    {"ngrams", (PyCFunction)(void (*)(void))ngrams, METH_FASTCALL, ngrams_doc},
    {NULL, NULL, 0, NULL},
};

/* What storage/native/kernel.py compares, so that a library that was compiled from an older source is not used. */
static int
add_version(PyObject *module)
{
    return PyModule_AddIntConstant(module, "VERSION", 3);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)add_version}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_text", .m_doc = "See storage/native/kernel.py.", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__text(void)
{
    return PyModuleDef_Init(&definition);
}
