/* Top-k over an inverted index: the rows with the greatest weighted sum of their postings. The words of texts, counted.
 *
 * Everything here has a twin in storage/postings/ or storage/interface/words.py, which answers the same where no compiler was at hand.
 *
 * The search goes through the rows in windows. Terms whose bounds together cannot reach the score of the k-th best
 * row so far are not read (MaxScore: Turtle and Flood, Query evaluation: strategies and optimizations, 1995). Sums of
 * a window only decide which rows are worth a second look. The score of such a row is then computed in the order of
 * the query's terms, in float64, so that a row has one score whatever was skipped.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 4096, WORD = 64 };

/* ---- arguments ---------------------------------------------------------------------------------------- */

enum { BUFFERS = 13 }; /* one more than a call has arrays */

typedef struct {
    Py_buffer held[BUFFERS];
    int holds;
} Held;

static void
let_go(Held *held)
{
    while (held->holds)
        PyBuffer_Release(&held->held[--held->holds]);
}

/* A one-dimensional, contiguous and aligned buffer of items of this size and of one of these types. */
static void *
get(Held *held, PyObject *object, const char *name, const char *letters, Py_ssize_t size, int writable,
    Py_ssize_t *count)
{
    Py_buffer *out = &held->held[held->holds];
    int flags = PyBUF_FORMAT | PyBUF_ND | PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(object, out, flags) < 0)
        return NULL;
    const char *format = out->format ? out->format : "B";
    if (*format == '@' || *format == '=' || (*format == '<' && PY_LITTLE_ENDIAN))
        format++;
    if (out->ndim == 1 && *format && strchr(letters, *format) && !format[1] && out->itemsize == size &&
        (uintptr_t)out->buf % (uintptr_t)size == 0) {
        held->holds++;
        *count = out->shape[0];
        return out->buf;
    }
    PyErr_Format(PyExc_TypeError, "%s has %d dimensions of type %s, not 1 of %c, or is not aligned", name, out->ndim,
                 format, letters[0]);
    PyBuffer_Release(out);
    return NULL;
}

/* ---- postings ----------------------------------------------------------------------------------------- */

/* An inverted index, and the terms of a query in it.
 *
 * A posting's value is a float32, or, with `lengths`, a frequency f in a text of `lengths[row]` words, which counts
 * as f * scale / (f + constant + slope * length) (BM25).
 */
typedef struct {
    Held held;
    const int64_t *starts;
    const uint32_t *rows;
    const float *values;
    const uint16_t *times;
    const uint32_t *lengths;
    double scale, constant, slope;
    const int64_t *picked; /* numbers of terms */
    const double *weights;
    Py_ssize_t terms, postings, documents, count;
} Index;

/* From starts, rows, values, lengths or None, (scale, constant, slope) or None. */
static int
read_arrays(Index *index, PyObject *const *args, Py_ssize_t *values)
{
    Py_ssize_t starts;
    memset(index, 0, sizeof *index);
    Held *held = &index->held;
    if (!(index->starts = get(held, args[0], "starts", "lq", 8, 0, &starts)) ||
        !(index->rows = get(held, args[1], "rows", "IL", 4, 0, &index->postings)))
        goto failed;
    index->terms = starts ? starts - 1 : 0;
    if (args[3] == Py_None) {
        if (!(index->values = get(held, args[2], "values", "f", 4, 0, values)))
            goto failed;
    }
    else if (!(index->times = get(held, args[2], "values", "H", 2, 0, values)) ||
             !(index->lengths = get(held, args[3], "lengths", "IL", 4, 0, &index->documents)) ||
             !PyArg_ParseTuple(args[4], "ddd", &index->scale, &index->constant, &index->slope))
        goto failed;
    return 0;
failed:
    let_go(held);
    return -1;
}

/* These, and the picked terms and their weights. Every term that the query picks lies within the postings. */
static int
read_index(Index *index, PyObject *const *args)
{
    Py_ssize_t values, weights;
    if (read_arrays(index, args, &values) < 0)
        return -1;
    Held *held = &index->held;
    if (!(index->picked = get(held, args[5], "picked", "lq", 8, 0, &index->count)) ||
        !(index->weights = get(held, args[6], "weights", "d", 8, 0, &weights)))
        goto failed;
    if (values != index->postings || weights != index->count) {
        PyErr_SetString(PyExc_ValueError, "postings need a value each, and picked terms a weight each");
        goto failed;
    }
    for (Py_ssize_t at = 0; at < index->count; at++) {
        int64_t term = index->picked[at];
        if (term < 0 || term >= index->terms || index->starts[term] < 0 ||
            index->starts[term] > index->starts[term + 1] || index->starts[term + 1] > index->postings) {
            PyErr_Format(PyExc_IndexError, "term %lld of %zd", (long long)term, index->terms);
            goto failed;
        }
    }
    return 0;
failed:
    let_go(held);
    return -1;
}

static inline double
value_at(const Index *index, int64_t at)
{
    if (index->values)
        return (double)index->values[at];
    uint32_t row = index->rows[at];
    double times = index->times[at], length = row < index->documents ? index->lengths[row] : 0;
    return times * index->scale / (times + index->constant + index->slope * length);
}

/* The first posting from `at` on whose row is at least `row`. */
static int64_t
seek(const uint32_t *rows, int64_t at, int64_t end, uint32_t row)
{
    int64_t step = 1, low = at;
    while (low + step < end && rows[low + step] < row) {
        low += step;
        step *= 2;
    }
    int64_t high = low + step < end ? low + step : end;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (rows[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The score of a row, summed in the order of the query's terms. `from`: where to begin to look, per term. */
static double
score_of(const Index *index, int64_t *from, uint32_t row, int *found)
{
    double sum = 0;
    for (Py_ssize_t term = 0; term < index->count; term++) {
        int64_t end = index->starts[index->picked[term] + 1];
        int64_t at = from[term] = seek(index->rows, from[term], end, row);
        if (at < end && index->rows[at] == row) {
            sum += index->weights[term] * value_at(index, at);
            *found = 1;
        }
    }
    return sum;
}

/* ---- the best so far ---------------------------------------------------------------------------------- */

typedef struct {
    double score;
    int64_t position; /* decides between equal scores: the least is best */
    int64_t row;
} Hit;

static int
is_worse(const Hit *one, const Hit *other)
{
    return one->score < other->score || (one->score == other->score && one->position > other->position);
}

static void
sink(Hit *heap, Py_ssize_t size, Py_ssize_t at)
{
    Hit hit = heap[at];
    for (;;) {
        Py_ssize_t child = 2 * at + 1;
        if (child >= size)
            break;
        if (child + 1 < size && is_worse(&heap[child + 1], &heap[child]))
            child++;
        if (!is_worse(&heap[child], &hit))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = hit;
}

static void
offer(Hit *heap, Py_ssize_t *size, Py_ssize_t most, Hit hit)
{
    if (*size < most) {
        heap[(*size)++] = hit;
        if (*size == most)
            for (Py_ssize_t at = most / 2; at-- > 0;)
                sink(heap, most, at);
    }
    else if (is_worse(&heap[0], &hit)) {
        heap[0] = hit;
        sink(heap, most, 0);
    }
}

static int
by_rank(const void *one, const void *other)
{
    return is_worse(one, other) ? 1 : is_worse(other, one) ? -1 : 0;
}

/* ---- best --------------------------------------------------------------------------------------------- */

/* A row that may be among the best, and the most that its score can be. */
typedef struct {
    int64_t row;
    double most;
} Candidate;

typedef struct {
    const double *bounds;
    const uint8_t *allowed;
    const int64_t *positions;
    int64_t stop;
    Hit *heap;
    Py_ssize_t size, most;
    double floor; /* rows with a lower score are not among the best: others are known to have this one */
    /* If no posting lowers a score, sums of a window are lower bounds of scores. The best k of them give the floor, and
     * rows are scored at the end, when it is high. */
    int rising, failed;
    double *lowest;      /* a heap of the k greatest lower bounds, the least first */
    Py_ssize_t bounded;
    Candidate *waiting;
    Py_ssize_t waits, room;
    double *sums;
    uint64_t *touched;
    int64_t *at, *from;   /* per term: the next posting; where the window began */
    Py_ssize_t *order;    /* terms by bound, ascending */
    double *below;        /* the sum of the bounds of the terms up to here in that order */
} Search;

/* The score that a row needs to be among the best. */
static double
threshold(const Search *search)
{
    if (search->size < search->most || search->heap[0].score < search->floor)
        return search->floor;
    return search->heap[0].score;
}

/* Let the terms that alone cannot bring a row among the best be skipped. Returns how many they are. */
static Py_ssize_t
skipped(const Search *search, Py_ssize_t count, double margin)
{
    Py_ssize_t some = 0;
    double least = threshold(search);
    while (some < count && search->below[some] + margin < least)
        some++;
    return some;
}

/* The number of the lowest bit that is set; one is. */
static int
lowest(uint64_t bits)
{
#if defined(__GNUC__)
    return __builtin_ctzll(bits);
#else
    int at = 0;
    for (; !(bits & 1); bits >>= 1)
        at++;
    return at;
#endif
}

/* Raises the floor to the k-th greatest lower bound, if this one is among them. */
static void
raise_floor(Search *search, double bound)
{
    double *heap = search->lowest;
    Py_ssize_t at, most = search->most;
    if (search->bounded < most) {
        for (at = search->bounded++; at && heap[(at - 1) / 2] > bound; at = (at - 1) / 2)
            heap[at] = heap[(at - 1) / 2];
        heap[at] = bound;
    }
    else if (bound > heap[0]) {
        for (at = 0;;) {
            Py_ssize_t child = 2 * at + 1;
            if (child + 1 < most && heap[child + 1] < heap[child])
                child++;
            if (child >= most || heap[child] >= bound)
                break;
            heap[at] = heap[child];
            at = child;
        }
        heap[at] = bound;
    }
    if (search->bounded == most && heap[0] > search->floor)
        search->floor = heap[0];
}

static void
wait(Search *search, int64_t row, double most)
{
    if (search->waits == search->room) {
        Py_ssize_t room = 2 * search->room + 256;
        Candidate *more = realloc(search->waiting, (size_t)room * sizeof *more); /* without the interpreter's lock */
        if (!more) {
            search->failed = 1;
            return;
        }
        search->waiting = more;
        search->room = room;
    }
    search->waiting[search->waits++] = (Candidate){row, most};
}

static void
look_again(const Index *index, Search *search, int64_t low, double margin, double rest)
{
    for (int word = 0; word < WINDOW / WORD; word++) {
        uint64_t bits = search->touched[word];
        search->touched[word] = 0;
        for (; bits; bits &= bits - 1) {
            int at = word * WORD + lowest(bits), found = 0;
            double sum = search->sums[at];
            int64_t row = low + at;
            search->sums[at] = 0;
            if (search->allowed && !search->allowed[row])
                continue;
            if (sum + rest + margin < threshold(search))
                continue;
            if (search->rising) {
                raise_floor(search, sum - margin);
                wait(search, row, sum + rest + margin);
                continue;
            }
            Hit hit = {0, search->positions ? search->positions[row] : row, row};
            hit.score = score_of(index, search->from, (uint32_t)row, &found);
            offer(search->heap, &search->size, search->most, hit);
        }
    }
}

static void
search_all(const Index *index, Search *search)
{
    Py_ssize_t count = index->count;
    double margin = count ? 1e-12 * search->below[count - 1] : 0;
    for (;;) {
        Py_ssize_t skip = skipped(search, count, margin);
        int64_t low = search->stop;
        for (Py_ssize_t each = skip; each < count; each++) {
            Py_ssize_t term = search->order[each];
            if (search->at[term] < index->starts[index->picked[term] + 1] &&
                (int64_t)index->rows[search->at[term]] < low)
                low = index->rows[search->at[term]];
        }
        if (low >= search->stop)
            return;
        int64_t high = low + WINDOW < search->stop ? low + WINDOW : search->stop;
        for (Py_ssize_t each = skip; each < count; each++) {
            Py_ssize_t term = search->order[each];
            int64_t at = search->at[term], end = index->starts[index->picked[term] + 1];
            double weight = index->weights[term];
            search->from[term] = at;
            for (; at < end && (int64_t)index->rows[at] < high; at++) {
                int64_t offset = (int64_t)index->rows[at] - low;
                if (offset < 0) /* rows that do not ascend; such a file was refused */
                    continue;
                search->sums[offset] += weight * value_at(index, at);
                search->touched[offset / WORD] |= (uint64_t)1 << offset % WORD;
            }
            search->at[term] = at;
        }
        look_again(index, search, low, margin, skip ? search->below[skip - 1] : 0);
    }
}

enum { SAMPLED = 8192 }; /* postings of a term that are looked at for a first threshold */

/* If no posting lowers a score, at least k rows have the k-th greatest value of one term, and so this score. The term
 * with the greatest bound that has enough postings, and not too many, gives a first threshold. */
static int
find_floor(const Index *index, Search *search)
{
    search->floor = -INFINITY;
    Py_ssize_t chosen = -1;
    for (Py_ssize_t each = index->count; each-- > 0 && chosen < 0;) {
        Py_ssize_t term = search->order[each];
        int64_t size = index->starts[index->picked[term] + 1] - index->starts[index->picked[term]];
        if (size >= search->most && size <= SAMPLED)
            chosen = term;
    }
    if (chosen < 0 || !search->most)
        return 0;
    Hit *heap = PyMem_New(Hit, search->most);
    if (!heap) {
        PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t found = 0;
    for (int64_t at = index->starts[index->picked[chosen]]; at < index->starts[index->picked[chosen] + 1]; at++) {
        int64_t row = index->rows[at];
        if (row >= search->stop || (search->allowed && !search->allowed[row]))
            continue;
        Hit hit = {index->weights[chosen] * value_at(index, at), row, row};
        offer(heap, &found, search->most, hit);
    }
    if (found == search->most)
        search->floor = heap[0].score;
    PyMem_Free(heap);
    return 0;
}

/* Scores the rows that wait, which ascend. */
static void
score_waiting(const Index *index, Search *search)
{
    for (Py_ssize_t term = 0; term < index->count; term++)
        search->from[term] = index->starts[index->picked[term]];
    for (Py_ssize_t each = 0; each < search->waits; each++) {
        int64_t row = search->waiting[each].row;
        int found = 0;
        if (search->waiting[each].most < threshold(search))
            continue;
        Hit hit = {0, search->positions ? search->positions[row] : row, row};
        hit.score = score_of(index, search->from, (uint32_t)row, &found);
        offer(search->heap, &search->size, search->most, hit);
    }
}

static int
prepare(const Index *index, Search *search)
{
    Py_ssize_t count = index->count, room = count ? count : 1;
    search->heap = PyMem_New(Hit, search->most ? search->most : 1);
    search->sums = PyMem_Calloc(WINDOW, sizeof *search->sums);
    search->touched = PyMem_Calloc(WINDOW / WORD, sizeof *search->touched);
    search->at = PyMem_New(int64_t, room);
    search->from = PyMem_New(int64_t, room);
    search->order = PyMem_New(Py_ssize_t, room);
    search->below = PyMem_New(double, room);
    search->lowest = PyMem_New(double, search->most ? search->most : 1);
    if (!search->lowest || !search->heap || !search->sums || !search->touched || !search->at || !search->from || !search->order ||
        !search->below) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t term = 0; term < count; term++) {
        search->at[term] = search->from[term] = index->starts[index->picked[term]];
        Py_ssize_t at = term; /* an insertion sort: a query has few terms */
        for (; at && search->bounds[search->order[at - 1]] > search->bounds[term]; at--)
            search->order[at] = search->order[at - 1];
        search->order[at] = term;
    }
    for (Py_ssize_t each = 0; each < count; each++)
        search->below[each] = (each ? search->below[each - 1] : 0) + search->bounds[search->order[each]];
    return 0;
}

static void
free_search(Search *search)
{
    PyMem_Free(search->heap);
    PyMem_Free(search->sums);
    PyMem_Free(search->touched);
    PyMem_Free(search->at);
    PyMem_Free(search->from);
    PyMem_Free(search->order);
    PyMem_Free(search->below);
    PyMem_Free(search->lowest);
    free(search->waiting);
}

/* Finds the best rows and writes them. Returns how many there are. */
static PyObject *
rank(Index *index, Search *search, int64_t *out_rows, double *out_scores)
{
    PyObject *answer = NULL;
    if (prepare(index, search) < 0)
        goto done;
    search->floor = -INFINITY;
    if (search->rising && find_floor(index, search) < 0)
        goto done;
    if (search->most) {
        Py_BEGIN_ALLOW_THREADS
        search_all(index, search);
        score_waiting(index, search);
        qsort(search->heap, (size_t)search->size, sizeof *search->heap, by_rank);
        for (Py_ssize_t at = 0; at < search->size; at++) {
            out_rows[at] = search->heap[at].row;
            out_scores[at] = search->heap[at].score;
        }
        Py_END_ALLOW_THREADS
    }
    answer = search->failed ? PyErr_NoMemory() : PyLong_FromSsize_t(search->size);
done:
    free_search(search);
    return answer;
}

PyDoc_STRVAR(best_doc,
             "best(starts, rows, values, lengths, bm25, picked, weights, bounds, stop, allowed, positions, out_rows,\n"
             "out_scores, rising): the best rows below `stop`, best first, into `out_rows` (int64) and `out_scores`\n"
             "(float64). Returns how many there are. `bounds`: what each term adds at most to a score. `rising`: whether\n"
             "no posting lowers a score.");

static PyObject *
best(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Index index;
    Search search = {0};
    Py_ssize_t bounds, allowed = 0, positions = 0, scores;
    if (given != 14) {
        PyErr_Format(PyExc_TypeError, "best takes 14 arguments, not %zd", given);
        return NULL;
    }
    if (read_index(&index, args) < 0)
        return NULL;
    Held *held = &index.held;
    int64_t *out_rows = NULL;
    double *out_scores = NULL;
    PyObject *answer = NULL;
    if (!(search.bounds = get(held, args[7], "bounds", "d", 8, 0, &bounds)))
        goto done;
    search.stop = PyLong_AsLongLong(args[8]);
    if (PyErr_Occurred())
        goto done;
    if (args[9] != Py_None && !(search.allowed = get(held, args[9], "allowed", "?B", 1, 0, &allowed)))
        goto done;
    if (args[10] != Py_None && !(search.positions = get(held, args[10], "positions", "lq", 8, 0, &positions)))
        goto done;
    if (!(out_rows = get(held, args[11], "out_rows", "lq", 8, 1, &search.most)) ||
        !(out_scores = get(held, args[12], "out_scores", "d", 8, 1, &scores)))
        goto done;
    if (bounds != index.count || scores != search.most || (search.allowed && allowed < search.stop) ||
        (search.positions && positions < search.stop) || search.stop < 0) {
        PyErr_SetString(PyExc_ValueError, "bounds, masks, positions and results do not have the lengths they need");
        goto done;
    }
    search.rising = PyObject_IsTrue(args[13]);
    if (search.rising >= 0)
        answer = rank(&index, &search, out_rows, out_scores);
done:
    let_go(held);
    return answer;
}

/* ---- search ------------------------------------------------------------------------------------------- */

/* What a query's terms are in an index: the terms that it has, with weights and bounds. */
typedef struct {
    int64_t *picked;
    double *weights, *bounds;
} Found;

/* The number of a term, or -1. */
static int64_t
find_term(const uint32_t *terms, Py_ssize_t count, uint32_t term)
{
    Py_ssize_t low = 0, high = count;
    while (low < high) {
        Py_ssize_t middle = low + (high - low) / 2;
        if (terms[middle] < term)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && terms[low] == term ? (int64_t)low : -1;
}

/* Looks the terms up. `records`: by whose number the rarity of a term multiplies its weight; below 0: it does not.
 * Returns how many postings the terms have. */
static int64_t
find_terms(Index *index, Found *found, const uint32_t *terms, const float *most, const uint16_t *most_times,
           const uint32_t *asked, double *weights, Py_ssize_t count, double records)
{
    int64_t reading = 0;
    for (Py_ssize_t at = 0; at < count; at++) {
        int64_t term = find_term(terms, index->terms, asked[at]);
        int64_t having = term < 0 ? 0 : index->starts[term + 1] - index->starts[term];
        if (records >= 0) /* as ranking.idf has it, operation by operation */
            weights[at] *= log(1 + (records - (double)having + 0.5) / ((double)having + 0.5));
        if (term < 0)
            continue;
        if (index->starts[term] < 0 || having < 0 || index->starts[term + 1] > index->postings)
            return -1;
        double bound = most ? (double)most[term] : (double)most_times[term];
        if (!most)
            bound = bound * index->scale / (bound + index->constant); /* as in a text without words */
        found->picked[index->count] = term;
        found->bounds[index->count] = fabs(weights[at]) * bound;
        found->weights[index->count++] = weights[at];
        reading += having;
    }
    index->picked = found->picked;
    index->weights = found->weights;
    return reading;
}

PyDoc_STRVAR(search_doc,
             "search(starts, rows, values, lengths, bm25, terms, most, positive, query, weights, records, stop, positions,\n"
             "out_rows, out_scores): the best rows below `stop` for a query, its terms (uint32) and weights (float64),\n"
             "as `best` finds them. `terms` (uint32, ascending) and `most`: of the index. `positive`: whether no value\n"
             "is negative. `records` not negative: the weights are first multiplied, in place, by the idf of their terms\n"
             "among so many records.");

static PyObject *
search(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Index index;
    Search search = {0};
    Found found = {0};
    Py_ssize_t terms, most, values, count, weights, positions = 0, scores;
    PyObject *answer = NULL;
    memset(&index, 0, sizeof index);
    if (given != 15) {
        PyErr_Format(PyExc_TypeError, "search takes 15 arguments, not %zd", given);
        return NULL;
    }
    Held *held = &index.held;
    if (read_arrays(&index, args, &values) < 0)
        return NULL;
    const uint32_t *all = get(held, args[5], "terms", "IL", 4, 0, &terms);
    const float *greatest = NULL;
    const uint16_t *greatest_times = NULL;
    if (!all)
        goto done;
    if (index.values)
        greatest = get(held, args[6], "most", "f", 4, 0, &most);
    else
        greatest_times = get(held, args[6], "most", "H", 2, 0, &most);
    if (!greatest && !greatest_times)
        goto done;
    int positive = PyObject_IsTrue(args[7]);
    const uint32_t *asked = get(held, args[8], "query", "IL", 4, 0, &count);
    double *weight = asked ? get(held, args[9], "weights", "d", 8, 1, &weights) : NULL;
    if (!weight || positive < 0)
        goto done;
    double records = PyFloat_AsDouble(args[10]);
    search.stop = PyLong_AsLongLong(args[11]);
    if (PyErr_Occurred())
        goto done;
    if (args[12] != Py_None && !(search.positions = get(held, args[12], "positions", "lq", 8, 0, &positions)))
        goto done;
    int64_t *out_rows = get(held, args[13], "out_rows", "lq", 8, 1, &search.most);
    double *out_scores = out_rows ? get(held, args[14], "out_scores", "d", 8, 1, &scores) : NULL;
    if (!out_scores)
        goto done;
    if (values != index.postings || terms != index.terms || most != terms || weights != count ||
        scores != search.most || (search.positions && positions < search.stop) || search.stop < 0) {
        PyErr_SetString(PyExc_ValueError, "the arrays of a search do not have the lengths they need");
        goto done;
    }
    size_t room = count ? (size_t)count : 1;
    found.picked = PyMem_New(int64_t, room);
    found.weights = PyMem_New(double, room);
    found.bounds = PyMem_New(double, room);
    if (!found.picked || !found.weights || !found.bounds) {
        PyErr_NoMemory();
        goto done;
    }
    int64_t reading = find_terms(&index, &found, all, greatest, greatest_times, asked, weight, count, records);
    if (reading < 0) {
        PyErr_SetString(PyExc_IndexError, "a term has postings that are not there");
        goto done;
    }
    search.bounds = found.bounds;
    search.rising = positive;
    for (Py_ssize_t at = 0; at < index.count; at++)
        if (!(found.weights[at] >= 0))
            search.rising = 0;
    if (reading < search.most)
        search.most = (Py_ssize_t)reading;
    answer = rank(&index, &search, out_rows, out_scores);
done:
    PyMem_Free(found.picked);
    PyMem_Free(found.weights);
    PyMem_Free(found.bounds);
    let_go(held);
    return answer;
}

/* ---- scores ------------------------------------------------------------------------------------------- */

PyDoc_STRVAR(scores_doc,
             "scores(starts, rows, values, lengths, bm25, picked, weights, wanted, out_scores, out_found): the scores of\n"
             "the rows `wanted`, int64 ascending, into `out_scores` (float64); whether a row has a term of the query,\n"
             "into `out_found` (bool).");

static PyObject *
scores(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Index index;
    Py_ssize_t count, scored, marked;
    if (given != 10) {
        PyErr_Format(PyExc_TypeError, "scores takes 10 arguments, not %zd", given);
        return NULL;
    }
    if (read_index(&index, args) < 0)
        return NULL;
    Held *held = &index.held;
    int right = 0;
    const int64_t *wanted = get(held, args[7], "wanted", "lq", 8, 0, &count);
    double *out = wanted ? get(held, args[8], "out_scores", "d", 8, 1, &scored) : NULL;
    uint8_t *found = out ? get(held, args[9], "out_found", "?B", 1, 1, &marked) : NULL;
    int64_t *from = found ? PyMem_New(int64_t, index.count ? index.count : 1) : NULL;
    if (found && !from)
        PyErr_NoMemory();
    if (from && (scored != count || marked != count))
        PyErr_SetString(PyExc_ValueError, "each row that is wanted needs a score and a mark");
    else if (from) {
        right = 1;
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t term = 0; term < index.count; term++)
            from[term] = index.starts[index.picked[term]];
        for (Py_ssize_t at = 0; at < count; at++) {
            int has = 0;
            if (at && wanted[at] < wanted[at - 1]) { /* rows that do not ascend are looked for from the start */
                for (Py_ssize_t term = 0; term < index.count; term++)
                    from[term] = index.starts[index.picked[term]];
            }
            out[at] = score_of(&index, from, (uint32_t)wanted[at], &has);
            found[at] = (uint8_t)has;
        }
        Py_END_ALLOW_THREADS
    }
    PyMem_Free(from);
    let_go(held);
    if (!right)
        return NULL;
    Py_RETURN_NONE;
}

/* ---- building and checking ---------------------------------------------------------------------------- */

PyDoc_STRVAR(order_doc,
             "order(terms, out): the order that sorts uint32 `terms`, as uint32 into `out`; equal ones stay in order.");

static PyObject *
order(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    enum { BITS = 11, PASSES = 3, BUCKETS = 1 << BITS };
    Held held = {.holds = 0};
    Py_ssize_t count, room;
    if (given != 2) {
        PyErr_Format(PyExc_TypeError, "order takes 2 arguments, not %zd", given);
        return NULL;
    }
    const uint32_t *terms = get(&held, args[0], "terms", "IL", 4, 0, &count);
    uint32_t *out = terms ? get(&held, args[1], "out", "IL", 4, 1, &room) : NULL;
    uint32_t *other = NULL;
    int right = 0;
    if (out && (room != count || count > UINT32_MAX))
        PyErr_SetString(PyExc_ValueError, "the order has an entry for each of fewer than 2^32 terms");
    else if (out && !(other = PyMem_New(uint32_t, count ? count : 1)))
        PyErr_NoMemory();
    else if (out) {
        right = 1;
        Py_BEGIN_ALLOW_THREADS
        static const int shifts[PASSES] = {0, BITS, 2 * BITS};
        uint32_t *from = out, *to = other;
        for (Py_ssize_t at = 0; at < count; at++)
            from[at] = (uint32_t)at;
        for (int pass = 0; pass < PASSES; pass++) { /* least significant digits first */
            size_t begins[BUCKETS] = {0};
            for (Py_ssize_t at = 0; at < count; at++)
                begins[terms[at] >> shifts[pass] & (BUCKETS - 1)]++;
            size_t sum = 0;
            for (int bucket = 0; bucket < BUCKETS; bucket++) {
                size_t size = begins[bucket];
                begins[bucket] = sum;
                sum += size;
            }
            for (Py_ssize_t at = 0; at < count; at++)
                to[begins[terms[from[at]] >> shifts[pass] & (BUCKETS - 1)]++] = from[at];
            uint32_t *swap = from;
            from = to;
            to = swap;
        }
        memcpy(out, from, (size_t)count * sizeof *out); /* an odd number of passes ends in `other` */
        Py_END_ALLOW_THREADS
    }
    PyMem_Free(other);
    let_go(&held);
    if (!right)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(sound_doc,
             "sound(terms, starts, rows, size): whether the terms ascend, the starts divide the rows into one run per\n"
             "term, and the rows of each run ascend and are less than `size`.");

static PyObject *
sound(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Held held = {.holds = 0};
    Py_ssize_t count, starts_count, postings;
    int good = 0;
    if (given != 4) {
        PyErr_Format(PyExc_TypeError, "sound takes 4 arguments, not %zd", given);
        return NULL;
    }
    const uint32_t *terms = get(&held, args[0], "terms", "IL", 4, 0, &count);
    const int64_t *starts = terms ? get(&held, args[1], "starts", "lq", 8, 0, &starts_count) : NULL;
    const uint32_t *rows = starts ? get(&held, args[2], "rows", "IL", 4, 0, &postings) : NULL;
    long long size = rows ? PyLong_AsLongLong(args[3]) : 0;
    if (rows && !PyErr_Occurred()) {
        Py_BEGIN_ALLOW_THREADS
        good = starts_count == count + 1 && starts[0] == 0 && starts[count] == postings;
        for (Py_ssize_t term = 0; good && term < count; term++) {
            good = starts[term] < starts[term + 1] && starts[term + 1] <= postings &&
                   (!term || terms[term - 1] < terms[term]);
            for (int64_t at = starts[term]; good && at < starts[term + 1]; at++)
                good = (long long)rows[at] < size && (at == starts[term] || rows[at - 1] < rows[at]);
        }
        Py_END_ALLOW_THREADS
    }
    let_go(&held);
    if (PyErr_Occurred())
        return NULL;
    return PyBool_FromLong(good);
}

/* ---- stems ---------------------------------------------------------------------------------------------- */

/* A word in lower case; a consonant y is written Y. There is room for one more letter. `first` and `second` are where
 * R1 and R2 begin. See storage/interface/english_stemmer.py, whose steps these are. */
typedef struct {
    char *text;
    Py_ssize_t size, first, second;
} Word;

static int
is_vowel(char letter)
{
    return letter == 'a' || letter == 'e' || letter == 'i' || letter == 'o' || letter == 'u' || letter == 'y';
}

static int
ends(const Word *word, const char *suffix)
{
    Py_ssize_t size = (Py_ssize_t)strlen(suffix);
    return word->size >= size && memcmp(word->text + word->size - size, suffix, (size_t)size) == 0;
}

static int
equals(const Word *word, const char *other)
{
    return word->size == (Py_ssize_t)strlen(other) && ends(word, other);
}

static int
has_vowel(const Word *word, Py_ssize_t size)
{
    for (Py_ssize_t at = 0; at < size; at++)
        if (is_vowel(word->text[at]))
            return 1;
    return 0;
}

static Py_ssize_t
after_consonant(const Word *word, Py_ssize_t start)
{
    for (Py_ssize_t at = start + 1; at < word->size; at++)
        if (!is_vowel(word->text[at]) && is_vowel(word->text[at - 1]))
            return at + 1;
    return word->size;
}

static int
ends_in_short_syllable(const Word *word, Py_ssize_t size)
{
    const char *text = word->text;
    if (size == 2)
        return is_vowel(text[0]) && !is_vowel(text[1]);
    return size > 2 && !is_vowel(text[size - 1]) && text[size - 1] != 'w' && text[size - 1] != 'x' &&
           text[size - 1] != 'Y' && is_vowel(text[size - 2]) && !is_vowel(text[size - 3]);
}

/* Puts `other`, which is at most one letter longer, in the place of the last `size` letters. */
static void
replace(Word *word, Py_ssize_t size, const char *other)
{
    size_t more = strlen(other);
    memcpy(word->text + word->size - size, other, more);
    word->size += (Py_ssize_t)more - size;
}

static void
step_1a(Word *word)
{
    if (ends(word, "sses"))
        word->size -= 2;
    else if (ends(word, "ied") || ends(word, "ies"))
        word->size -= word->size > 4 ? 2 : 1;
    else if (ends(word, "s") && !ends(word, "us") && !ends(word, "ss") && has_vowel(word, word->size - 2))
        word->size--;
}

static void
step_1b(Word *word)
{
    static const char *const after[] = {"ingly", "edly", "ing", "ed"};
    if (ends(word, "eedly") || ends(word, "eed")) {
        Py_ssize_t size = ends(word, "eedly") ? 5 : 3;
        if (word->size - size >= word->first)
            replace(word, size, "ee");
        return;
    }
    Py_ssize_t size = 0;
    for (int each = 0; !size && each < 4; each++)
        if (ends(word, after[each]))
            size = (Py_ssize_t)strlen(after[each]);
    if (!size || !has_vowel(word, word->size - size))
        return;
    word->size -= size;
    if (ends(word, "at") || ends(word, "bl") || ends(word, "iz")) {
        word->text[word->size++] = 'e';
        return;
    }
    if (word->size > 1 && word->text[word->size - 1] == word->text[word->size - 2] &&
        strchr("bdfgmnprt", word->text[word->size - 1])) {
        word->size--;
        return;
    }
    if (word->first >= word->size && ends_in_short_syllable(word, word->size))
        word->text[word->size++] = 'e';
}

/* A suffix, what replaces it, and its size. */
typedef struct {
    const char *suffix, *other;
    Py_ssize_t size;
} Suffix;

#define SUFFIX(suffix, other) {suffix, other, sizeof suffix - 1}

/* The first suffix of a list that fits: longer ones come first. NULL if none does. */
static const Suffix *
fitting(const Word *word, const Suffix *suffixes)
{
    char last = word->text[word->size - 1];
    for (; suffixes->suffix; suffixes++) {
        Py_ssize_t size = suffixes->size;
        if (suffixes->suffix[size - 1] == last && word->size >= size &&
            memcmp(word->text + word->size - size, suffixes->suffix, (size_t)size) == 0)
            return suffixes;
    }
    return NULL;
}

static void
step_2(Word *word)
{
    static const Suffix suffixes[] = {
        SUFFIX("ization", "ize"), SUFFIX("ational", "ate"), SUFFIX("fulness", "ful"), SUFFIX("ousness", "ous"), SUFFIX("iveness", "ive"),
        SUFFIX("tional", "tion"), SUFFIX("biliti", "ble"),  SUFFIX("lessli", "less"), SUFFIX("entli", "ent"),   SUFFIX("ation", "ate"),
        SUFFIX("alism", "al"),    SUFFIX("aliti", "al"),    SUFFIX("ousli", "ous"),   SUFFIX("iviti", "ive"),   SUFFIX("fulli", "ful"),
        SUFFIX("enci", "ence"),   SUFFIX("anci", "ance"),   SUFFIX("abli", "able"),   SUFFIX("izer", "ize"),    SUFFIX("ator", "ate"),
        SUFFIX("alli", "al"),     SUFFIX("bli", "ble"),     SUFFIX("ogi", "og"),      SUFFIX("li", ""),         {NULL, NULL, 0},
    };
    const Suffix *found = fitting(word, suffixes);
    if (!found)
        return;
    Py_ssize_t size = found->size, rest = word->size - size;
    char before = rest ? word->text[rest - 1] : 0;
    if (rest < word->first || (!strcmp(found->suffix, "ogi") && before != 'l') ||
        (!strcmp(found->suffix, "li") && !(before && strchr("cdeghkmnrt", before))))
        return;
    replace(word, size, found->other);
}

static void
step_3(Word *word)
{
    static const Suffix suffixes[] = {
        SUFFIX("ational", "ate"), SUFFIX("tional", "tion"), SUFFIX("alize", "al"), SUFFIX("icate", "ic"), SUFFIX("iciti", "ic"),
        SUFFIX("ative", ""),      SUFFIX("ical", "ic"),     SUFFIX("ness", ""),    SUFFIX("ful", ""),     {NULL, NULL, 0},
    };
    const Suffix *found = fitting(word, suffixes);
    if (!found)
        return;
    Py_ssize_t size = found->size;
    if (word->size - size >= (strcmp(found->suffix, "ative") ? word->first : word->second))
        replace(word, size, found->other);
}

static void
step_4(Word *word)
{
    static const Suffix suffixes[] = {
        SUFFIX("ement", ""), SUFFIX("ance", ""), SUFFIX("ence", ""), SUFFIX("able", ""), SUFFIX("ible", ""), SUFFIX("ment", ""), SUFFIX("ant", ""),
        SUFFIX("ent", ""),   SUFFIX("ism", ""),  SUFFIX("ate", ""),  SUFFIX("iti", ""),  SUFFIX("ous", ""),  SUFFIX("ive", ""),  SUFFIX("ize", ""),
        SUFFIX("ion", ""),   SUFFIX("al", ""),   SUFFIX("er", ""),   SUFFIX("ic", ""),   {NULL, NULL, 0},
    };
    const Suffix *found = fitting(word, suffixes);
    if (!found)
        return;
    Py_ssize_t rest = word->size - found->size;
    char before = rest ? word->text[rest - 1] : 0;
    if (rest >= word->second && (strcmp(found->suffix, "ion") || before == 's' || before == 't'))
        word->size = rest;
}

static void
step_5(Word *word)
{
    Py_ssize_t rest = word->size - 1;
    if (ends(word, "e") &&
        (rest >= word->second || (rest >= word->first && !ends_in_short_syllable(word, rest))))
        word->size = rest;
    else if (ends(word, "ll") && rest >= word->second)
        word->size = rest;
}

/* The stem of a word of letters, digits and underscores, in its place. */
static void
stem(Word *word)
{
    static const Suffix whole[] = {
        SUFFIX("skis", "ski"),      SUFFIX("skies", "sky"),   SUFFIX("dying", "die"), SUFFIX("lying", "lie"),
        SUFFIX("tying", "tie"),     SUFFIX("idly", "idl"),    SUFFIX("gently", "gentl"), SUFFIX("ugly", "ugli"),
        SUFFIX("early", "earli"),   SUFFIX("only", "onli"),   SUFFIX("singly", "singl"), SUFFIX("sky", "sky"),
        SUFFIX("news", "news"),     SUFFIX("howe", "howe"),   SUFFIX("atlas", "atlas"), SUFFIX("cosmos", "cosmos"),
        SUFFIX("bias", "bias"),     SUFFIX("andes", "andes"), {NULL, NULL, 0},
    };
    static const char *const starts[] = {"gener", "commun", "arsen"};
    static const char *const finished[] = {"inning",  "outing",  "canning", "herring",
                                           "earring", "proceed", "exceed",  "succeed"};
    for (const Suffix *each = whole; word->size <= 6 && each->suffix; each++)
        if (each->size == word->size && memcmp(word->text, each->suffix, (size_t)word->size) == 0) {
            replace(word, word->size, each->other);
            return;
        }
    if (word->size <= 2)
        return;
    for (Py_ssize_t at = 0; at < word->size; at++)
        if (word->text[at] == 'y' && (at == 0 || is_vowel(word->text[at - 1])))
            word->text[at] = 'Y';
    word->first = -1;
    for (int each = 0; each < 3; each++) {
        Py_ssize_t size = (Py_ssize_t)strlen(starts[each]);
        if (word->size >= size && memcmp(word->text, starts[each], (size_t)size) == 0)
            word->first = size;
    }
    if (word->first < 0)
        word->first = after_consonant(word, 0);
    word->second = after_consonant(word, word->first);
    step_1a(word);
    for (int each = 0; word->size >= 6 && word->size <= 7 && each < 8; each++)
        if (equals(word, finished[each]))
            return;
    step_1b(word);
    if (word->size > 2 && (word->text[word->size - 1] == 'y' || word->text[word->size - 1] == 'Y') &&
        !is_vowel(word->text[word->size - 2]))
        word->text[word->size - 1] = 'i';
    step_2(word);
    step_3(word);
    step_4(word);
    step_5(word);
    for (Py_ssize_t at = 0; at < word->size; at++)
        if (word->text[at] == 'Y')
            word->text[at] = 'y';
}

static uint32_t
rotated(uint32_t number, int bits)
{
    return number << bits | number >> (32 - bits);
}

/* MurmurHash3 (x86, 32 bits) with the seed 0. */
static uint32_t
murmur3(const char *data, Py_ssize_t size)
{
    uint32_t state = 0, block;
    Py_ssize_t at = 0;
    for (; at + 4 <= size; at += 4) {
        const unsigned char *bytes = (const unsigned char *)data + at;
        block = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
        state ^= rotated(block * 0xCC9E2D51u, 15) * 0x1B873593u;
        state = rotated(state, 13) * 5 + 0xE6546B64u;
    }
    if (at < size) {
        block = 0;
        for (Py_ssize_t last = size; last-- > at;)
            block = block << 8 | (unsigned char)data[last];
        state ^= rotated(block * 0xCC9E2D51u, 15) * 0x1B873593u;
    }
    state ^= (uint32_t)size;
    state = (state ^ state >> 16) * 0x85EBCA6Bu;
    state = (state ^ state >> 13) * 0xC2B2AE35u;
    return state ^ state >> 16;
}

/* ---- words of texts ----------------------------------------------------------------------------------- */

enum { SLOTS = 1024 }; /* of the table of stop words, which holds a quarter of them at most */
enum { KNOWN = 8192, SHORT = 24, MANY = 64 }; /* of the table of known words, which calls with many texts have */

/* A word that was read before, in lower case, and what became of it: its hash, or 0 if it is left out. */
typedef struct {
    char text[SHORT];
    uint32_t size, hash;
} Known;

/* Which words are left out, and the words of the texts that were read, counted. */
typedef struct {
    const char *stops[SLOTS];
    Py_ssize_t sizes[SLOTS], longest;
    Known *known; /* by a hash; a word takes the place of another. NULL: words are not remembered */
    uint32_t *texts, *hashes, *counts, *lengths;
    uint32_t *found; /* the hashes of the text that is read */
    char *lower;
    unsigned char letters[256]; /* each letter in lower case, 0 for what is no part of a word */
    Py_ssize_t size, room, words, words_room;
} Words;

/* Makes room in an array. Needs no lock of the interpreter. */
static int
grow(void **array, Py_ssize_t size, size_t item)
{
    void *more = realloc(*array, (size_t)size * item);
    if (!more)
        return -1;
    *array = more;
    return 0;
}

static int
by_number(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

/* The slot of a word in the table: that of the word, or an empty one. */
static uint32_t
slot_of(const Words *words, const char *word, Py_ssize_t size)
{
    uint32_t slot = murmur3(word, size) % SLOTS;
    while (words->stops[slot] &&
           (words->sizes[slot] != size || memcmp(words->stops[slot], word, (size_t)size) != 0))
        slot = (slot + 1) % SLOTS;
    return slot;
}

static int
read_stopwords(Words *words, PyObject *stopwords)
{
    Py_ssize_t count = PyTuple_GET_SIZE(stopwords), size;
    if (count > SLOTS / 4) {
        PyErr_Format(PyExc_ValueError, "%zd stop words, more than %d", count, SLOTS / 4);
        return -1;
    }
    for (Py_ssize_t at = 0; at < count; at++) {
        const char *word = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(stopwords, at), &size);
        if (!word)
            return -1;
        uint32_t slot = slot_of(words, word, size);
        words->stops[slot] = word;
        words->sizes[slot] = size;
    }
    return 0;
}

static void
read_letters(Words *words)
{
    memset(words->letters, 0, sizeof words->letters);
    for (int letter = 'a'; letter <= 'z'; letter++)
        words->letters[letter] = words->letters[letter - ('a' - 'A')] = (unsigned char)letter;
    for (int digit = '0'; digit <= '9'; digit++)
        words->letters[digit] = (unsigned char)digit;
    words->letters['_'] = '_';
}

/* The hash of the stem of a word in lower case, which it may overwrite; 0 if it is left out. A stem may have the hash
 * 0, too, so `kept` says whether it counts. */
static uint32_t
hash_word(Words *words, char *lower, Py_ssize_t size, int *kept)
{
    *kept = 0;
    if (size > words->longest || words->stops[slot_of(words, lower, size)])
        return 0;
    Word word = {lower, size, 0, 0};
    stem(&word);
    if (!word.size)
        return 0;
    *kept = 1;
    uint32_t hash = murmur3(word.text, word.size);
    return hash > INT32_MAX ? 0 - hash : hash; /* without its sign */
}

/* The same, of a word that may have been read before. */
static uint32_t
look_up(Words *words, uint32_t place, Py_ssize_t size, int *kept)
{
    if (!words->known || size > SHORT)
        return hash_word(words, words->lower, size, kept);
    Known *known = &words->known[(place ^ place >> 15) % KNOWN];
    if (known->size == (uint32_t)size && memcmp(known->text, words->lower, (size_t)size) == 0) {
        *kept = known->hash != 0;
        return known->hash;
    }
    char text[SHORT];
    memcpy(text, words->lower, (size_t)size);
    uint32_t hash = hash_word(words, words->lower, size, kept);
    if (*kept && !hash) /* which the table has for what is left out */
        return hash;
    memcpy(known->text, text, (size_t)size);
    known->size = (uint32_t)size;
    known->hash = hash;
    return hash;
}

/* The words of an ASCII text: runs of letters, digits and underscores, in lower case. */
static int
read_words(Words *words, const char *text, Py_ssize_t size)
{
    char *lower = words->lower;
    for (Py_ssize_t at = 0; at < size; at++) {
        Py_ssize_t length = 0;
        uint32_t place = 2166136261u; /* of the word in the table of known ones */
        for (unsigned char letter; at < size && (letter = words->letters[(unsigned char)text[at]]); at++) {
            lower[length++] = (char)letter;
            place = (place ^ letter) * 16777619u;
        }
        if (!length)
            continue;
        int kept;
        uint32_t hash = look_up(words, place, length, &kept);
        if (!kept)
            continue;
        if (words->words == words->words_room) {
            words->words_room = 2 * words->words_room + 64;
            if (grow((void **)&words->found, words->words_room, sizeof *words->found) < 0)
                return -1;
        }
        words->found[words->words++] = hash;
    }
    return 0;
}

/* The hashes of the words of the texts that are not ASCII, which a Python function gives. */
typedef struct {
    uint32_t *hashes;
    Py_ssize_t size, room;
} Asked;

static int
ask_words(Asked *asked, PyObject *function, PyObject *text)
{
    PyObject *found = PyObject_CallOneArg(function, text);
    if (!found)
        return -1;
    if (!PyList_Check(found)) {
        PyErr_SetString(PyExc_TypeError, "the hashes of a text are a list");
        goto failed;
    }
    Py_ssize_t count = PyList_GET_SIZE(found);
    if (asked->size + count > asked->room) {
        asked->room = 2 * asked->room + count;
        if (grow((void **)&asked->hashes, asked->room, sizeof *asked->hashes) < 0) {
            PyErr_NoMemory();
            goto failed;
        }
    }
    for (Py_ssize_t at = 0; at < count; at++) {
        unsigned long hash = PyLong_AsUnsignedLong(PyList_GET_ITEM(found, at));
        if (PyErr_Occurred())
            goto failed;
        asked->hashes[asked->size++] = (uint32_t)hash;
    }
    Py_DECREF(found);
    return 0;
failed:
    Py_DECREF(found);
    return -1;
}

enum { FEW = 40 }; /* words that an insertion sort sorts faster than qsort */

/* Adds the words of the text that was read. */
static int
count_words(Words *words, Py_ssize_t text)
{
    if (words->words > FEW)
        qsort(words->found, (size_t)words->words, sizeof *words->found, by_number);
    else
        for (Py_ssize_t at = 1; at < words->words; at++) {
            uint32_t hash = words->found[at];
            Py_ssize_t to = at;
            for (; to && words->found[to - 1] > hash; to--)
                words->found[to] = words->found[to - 1];
            words->found[to] = hash;
        }
    if (words->size + words->words > words->room) {
        words->room = 2 * words->room + words->words + 1024;
        if (grow((void **)&words->texts, words->room, 4) < 0 || grow((void **)&words->hashes, words->room, 4) < 0 ||
            grow((void **)&words->counts, words->room, 4) < 0)
            return -1;
    }
    words->lengths[text] = (uint32_t)words->words;
    for (Py_ssize_t at = 0; at < words->words;) {
        Py_ssize_t start = at;
        while (at < words->words && words->found[at] == words->found[start])
            at++;
        words->texts[words->size] = (uint32_t)text;
        words->hashes[words->size] = words->found[start];
        words->counts[words->size++] = (uint32_t)(at - start);
    }
    return 0;
}

PyDoc_STRVAR(words_doc,
             "words(texts, stopwords, longest, hashes): the words of a list of texts, counted: the number of the text,\n"
             "the hash and the count of each word, uint32 as bytes each, ordered by text and hash; the number of words\n"
             "of each text, uint32 as bytes. `stopwords`: a tuple of words in lower case that are left out. `hashes`:\n"
             "gives the hashes of the words of a text that is not ASCII.");

/* A text: its letters, or, if it is not ASCII, the hashes of its words. */
typedef struct {
    const char *letters;
    Py_ssize_t size, first;
} Text;

/* Counts the words of all texts. Needs no lock of the interpreter. */
static int
count_all(Words *words, const Text *texts, Py_ssize_t count, const uint32_t *asked)
{
    for (Py_ssize_t at = 0; at < count; at++) {
        const Text *text = &texts[at];
        words->words = 0;
        if (text->letters) {
            if (read_words(words, text->letters, text->size) < 0)
                return -1;
        }
        else if (text->size) {
            if (text->size > words->words_room) {
                if (grow((void **)&words->found, text->size, sizeof *words->found) < 0)
                    return -1;
                words->words_room = text->size;
            }
            memcpy(words->found, asked + text->first, (size_t)text->size * sizeof *asked);
            words->words = text->size;
        }
        if (count_words(words, at) < 0)
            return -1;
    }
    return 0;
}

static PyObject *
words(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Words found = {0};
    Asked asked = {0};
    Text *each = NULL;
    PyObject *answer = NULL;
    Py_ssize_t longest = 0;
    if (given != 4 || !PyList_CheckExact(args[0]) || !PyTuple_CheckExact(args[1])) {
        PyErr_SetString(PyExc_TypeError, "words takes a list of texts, a tuple of words, a number and a function");
        return NULL;
    }
    found.longest = PyLong_AsSsize_t(args[2]);
    if (PyErr_Occurred() || read_stopwords(&found, args[1]) < 0)
        return NULL;
    read_letters(&found);
    PyObject *texts = PySequence_Tuple(args[0]); /* another thread, or `hashes`, may change the list */
    if (!texts)
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(texts);
    if (grow((void **)&each, count ? count : 1, sizeof *each) < 0) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t at = 0; at < count; at++) {
        PyObject *text = PyTuple_GET_ITEM(texts, at);
        if (!PyUnicode_Check(text)) {
            PyErr_Format(PyExc_TypeError, "text %zd is %R", at, (PyObject *)Py_TYPE(text));
            goto done;
        }
        if (PyUnicode_IS_ASCII(text)) {
            each[at] = (Text){(const char *)PyUnicode_1BYTE_DATA(text), PyUnicode_GET_LENGTH(text), 0};
            if (each[at].size > longest)
                longest = each[at].size;
            continue;
        }
        Py_ssize_t first = asked.size;
        if (ask_words(&asked, args[3], text) < 0)
            goto done;
        each[at] = (Text){NULL, asked.size - first, first};
    }
    int right = 0;
    Py_BEGIN_ALLOW_THREADS
    if (count < MANY || (found.known = calloc(KNOWN, sizeof *found.known)))
        right = grow((void **)&found.lengths, count ? count : 1, sizeof *found.lengths) == 0 &&
                grow((void **)&found.lower, longest + 2, 1) == 0 && /* a stem may be a letter longer */
                count_all(&found, each, count, asked.hashes) == 0 &&
                grow((void **)&found.texts, found.room + 1, 4) == 0 && /* never NULL, which would become None */
                grow((void **)&found.hashes, found.room + 1, 4) == 0 &&
                grow((void **)&found.counts, found.room + 1, 4) == 0;
    Py_END_ALLOW_THREADS
    if (!right)
        PyErr_NoMemory();
    else
        answer = Py_BuildValue("y#y#y#y#", found.texts, 4 * found.size, found.hashes, 4 * found.size, found.counts,
                               4 * found.size, found.lengths, 4 * count);
done:
    Py_DECREF(texts);
    free(each);
    free(asked.hashes);
    free(found.texts);
    free(found.hashes);
    free(found.counts);
    free(found.lengths);
    free(found.found);
    free(found.lower);
    free(found.known);
    return answer;
}

/* ---- sparse vectors as JSON --------------------------------------------------------------------------- */

/* Writes a number in decimal digits, and returns where it ends. */
static char *
put_number(char *out, uint32_t number)
{
    char digits[10];
    int count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count)
        *out++ = digits[--count];
    return out;
}

static char *
put_text(char *out, const char *text, size_t size)
{
    memcpy(out, text, size);
    return out + size;
}

#define LITERAL(text) text, sizeof text - 1

PyDoc_STRVAR(vectors_doc,
             "vectors_json(starts, indices, numbers, texts): a list of the JSON of sparse vectors. `starts`: where each\n"
             "begins and the last one ends, int64. `indices`: uint32. `texts`: the values that occur, as ASCII bytes,\n"
             "a tuple. `numbers`: which of them each value is, uint32.");

static PyObject *
vectors_json(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Held held = {.holds = 0};
    Py_ssize_t starts_count, count, numbers_count;
    PyObject *out = NULL;
    char *buffer = NULL;
    if (given != 4 || !PyTuple_CheckExact(args[3])) {
        PyErr_SetString(PyExc_TypeError, "vectors_json takes three arrays and a tuple of texts");
        return NULL;
    }
    const int64_t *starts = get(&held, args[0], "starts", "lq", 8, 0, &starts_count);
    const uint32_t *indices = starts ? get(&held, args[1], "indices", "IL", 4, 0, &count) : NULL;
    const uint32_t *numbers = indices ? get(&held, args[2], "numbers", "IL", 4, 0, &numbers_count) : NULL;
    if (!numbers)
        goto done;
    Py_ssize_t texts = PyTuple_GET_SIZE(args[3]), longest = 0;
    for (Py_ssize_t at = 0; at < texts; at++) {
        PyObject *text = PyTuple_GET_ITEM(args[3], at);
        if (!PyBytes_CheckExact(text)) {
            PyErr_SetString(PyExc_TypeError, "the texts of values are bytes");
            goto done;
        }
        for (Py_ssize_t byte = 0; byte < PyBytes_GET_SIZE(text); byte++)
            if ((unsigned char)PyBytes_AS_STRING(text)[byte] > 127) {
                PyErr_SetString(PyExc_ValueError, "the texts of values are ASCII");
                goto done;
            }
        if (PyBytes_GET_SIZE(text) > longest)
            longest = PyBytes_GET_SIZE(text);
    }
    int right = starts_count > 0 && numbers_count == count && starts[0] == 0 && starts[starts_count - 1] == count;
    int64_t most = 0;
    for (Py_ssize_t at = 1; right && at < starts_count; at++) {
        right = starts[at] >= starts[at - 1] && starts[at] <= count;
        if (starts[at] - starts[at - 1] > most)
            most = starts[at] - starts[at - 1];
    }
    for (Py_ssize_t at = 0; right && at < count; at++)
        right = numbers[at] < (uint64_t)texts;
    if (!right) {
        PyErr_SetString(PyExc_ValueError, "starts, indices and values do not fit each other");
        goto done;
    }
    buffer = PyMem_Malloc((size_t)(64 + most * (12 + longest))); /* an index has ten digits at most */
    out = buffer ? PyList_New(starts_count - 1) : PyErr_NoMemory();
    for (Py_ssize_t vector = 0; out && vector + 1 < starts_count; vector++) {
        char *end = put_text(buffer, LITERAL("{\"#type\":\"sparse_vector\",\"indices\":["));
        for (int64_t at = starts[vector]; at < starts[vector + 1]; at++) {
            if (at > starts[vector])
                *end++ = ',';
            end = put_number(end, indices[at]);
        }
        end = put_text(end, LITERAL("],\"values\":["));
        for (int64_t at = starts[vector]; at < starts[vector + 1]; at++) {
            PyObject *text = PyTuple_GET_ITEM(args[3], numbers[at]);
            if (at > starts[vector])
                *end++ = ',';
            end = put_text(end, PyBytes_AS_STRING(text), (size_t)PyBytes_GET_SIZE(text));
        }
        end = put_text(end, LITERAL("]}"));
        PyObject *one = PyUnicode_FromKindAndData(PyUnicode_1BYTE_KIND, buffer, end - buffer);
        if (one)
            PyList_SET_ITEM(out, vector, one);
        else
            Py_CLEAR(out);
    }
done:
    PyMem_Free(buffer);
    let_go(&held);
    return out;
}

/* ---- different values --------------------------------------------------------------------------------- */

/* The different values of an array, in the order in which they come, in a table by a hash. */
typedef struct {
    uint32_t *values, *slots; /* a slot has the number of a value and one, or 0 */
    uint32_t size, mask;
} Distinct;

static uint32_t
slot_of_value(const Distinct *distinct, uint32_t value)
{
    uint32_t slot = (value * 2654435769u ^ value >> 15) & distinct->mask;
    while (distinct->slots[slot] && distinct->values[distinct->slots[slot] - 1] != value)
        slot = (slot + 1) & distinct->mask;
    return slot;
}

/* Doubles the table, which then has four slots per value. */
static int
widen(Distinct *distinct)
{
    uint32_t mask = 2 * distinct->mask + 1;
    uint32_t *slots = calloc((size_t)mask + 1, sizeof *slots);
    if (!slots || grow((void **)&distinct->values, ((Py_ssize_t)mask + 1) / 2, sizeof *slots) < 0) {
        free(slots);
        return -1;
    }
    free(distinct->slots);
    distinct->slots = slots;
    distinct->mask = mask;
    for (uint32_t at = 0; at < distinct->size; at++)
        slots[slot_of_value(distinct, distinct->values[at])] = at + 1;
    return 0;
}

PyDoc_STRVAR(distinct_doc,
             "distinct(values, numbers): the different ones of some uint32, as bytes, in the order in which they come.\n"
             "Writes which of them each is into `numbers` (uint32).");

static PyObject *
distinct(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Held held = {.holds = 0};
    Distinct found = {.mask = 511};
    Py_ssize_t count, numbers_count;
    PyObject *answer = NULL;
    if (given != 2) {
        PyErr_Format(PyExc_TypeError, "distinct takes 2 arguments, not %zd", given);
        return NULL;
    }
    const uint32_t *values = get(&held, args[0], "values", "IL", 4, 0, &count);
    uint32_t *numbers = values ? get(&held, args[1], "numbers", "IL", 4, 1, &numbers_count) : NULL;
    if (!numbers)
        goto done;
    if (numbers_count != count || count >= INT32_MAX / 4) {
        PyErr_SetString(PyExc_ValueError, "values need a number each, and there may be 500 million");
        goto done;
    }
    int right;
    Py_BEGIN_ALLOW_THREADS
    right = widen(&found) == 0;
    for (Py_ssize_t at = 0; right && at < count; at++) {
        uint32_t slot = slot_of_value(&found, values[at]);
        if (!found.slots[slot]) {
            found.values[found.size++] = values[at];
            found.slots[slot] = found.size;
        }
        numbers[at] = found.slots[slot] - 1;
        if (found.size > found.mask / 2)
            right = widen(&found) == 0;
    }
    Py_END_ALLOW_THREADS
    answer = right ? PyBytes_FromStringAndSize((char *)found.values, 4 * (Py_ssize_t)found.size) : PyErr_NoMemory();
done:
    free(found.values);
    free(found.slots);
    let_go(&held);
    return answer;
}

/* ---- the module --------------------------------------------------------------------------------------- */

static PyMethodDef methods[] = {
    {"best", (PyCFunction)(void (*)(void))best, METH_FASTCALL, best_doc},
    {"search", (PyCFunction)(void (*)(void))search, METH_FASTCALL, search_doc},
    {"scores", (PyCFunction)(void (*)(void))scores, METH_FASTCALL, scores_doc},
    {"order", (PyCFunction)(void (*)(void))order, METH_FASTCALL, order_doc},
    {"sound", (PyCFunction)(void (*)(void))sound, METH_FASTCALL, sound_doc},
    {"words", (PyCFunction)(void (*)(void))words, METH_FASTCALL, words_doc},
    {"vectors_json", (PyCFunction)(void (*)(void))vectors_json, METH_FASTCALL, vectors_doc},
    {"distinct", (PyCFunction)(void (*)(void))distinct, METH_FASTCALL, distinct_doc},
    {NULL, NULL, 0, NULL},
};

/* What storage/native/kernel.py compares, so that a library that was compiled from an older source is not used. */
static int
add_version(PyObject *module)
{
    return PyModule_AddIntConstant(module, "VERSION", 10);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)add_version}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_postings", .m_doc = "See storage/postings/ranking.py.", .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__postings(void)
{
    return PyModuleDef_Init(&definition);
}
