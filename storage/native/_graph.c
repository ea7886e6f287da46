/* Graphs over codes: the search for near rows, with or without a filter, and the construction.
 *
 * A code is a vector in one byte per number. A search walks through the graph by codes, and ranks what it finds by
 * the stored vectors with the distance of vectors.h. Codes, links and vectors are buffers, which may be maps of files:
 * nothing is copied, and every row number that is read from them is copied and checked before it is used.
 *
 * The graph is that of Malkov and Yashunin, Efficient and robust approximate nearest neighbor search using
 * hierarchical navigable small world graphs, 2016. The search with a filter looks two links far, as in Patel et al.,
 * ACORN: performant and predicate-agnostic search over vector embeddings and structured data, 2024.
 *
 * There is no twin in Python: without the compiled part, hnswlib builds and searches graphs (storage/index/hnsw.py).
 */
#include "vectors.h"

#if defined(_WIN32)
#define YIELD() ((void)0)
#else
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>
#define YIELD() sched_yield()
#endif

/* ---- codes -------------------------------------------------------------------------------------------- */

/* A row's code: two numbers, then a byte for each number of the vector, then zeros.
 *
 *     vector[i] ~ bytes[i] * step;  offset = the squared length of that with l2, else 0;  scale = -2 * step with l2, else -step
 *
 * So offset + scale * (the sum of bytes[i] * query[i]) orders rows like the distance to the query.
 */
typedef struct {
    float offset, scale;
    int8_t bytes[];
} Code;

enum { PAD = 32 }; /* bytes: what the widest instructions take at a time */

static Py_ssize_t
padded(Py_ssize_t dimension)
{
    return (dimension + PAD - 1) / PAD * PAD;
}

static Py_ssize_t
code_bytes(Py_ssize_t dimension)
{
    return (Py_ssize_t)sizeof(Code) + padded(dimension);
}

/* The sum of products. Integers: the same in any order, so on every machine. */
typedef int32_t (*Dot)(const int8_t *code, const int16_t *query, Py_ssize_t size);

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

__attribute__((target("avx512f,avx512bw"))) static int32_t
dot_avx512(const int8_t *code, const int16_t *query, Py_ssize_t size)
{
    __m512i sum = _mm512_setzero_si512();
    for (Py_ssize_t at = 0; at < size; at += 32) {
        __m512i wide = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(code + at)));
        sum = _mm512_add_epi32(sum, _mm512_madd_epi16(wide, _mm512_loadu_si512(query + at)));
    }
    return _mm512_reduce_add_epi32(sum);
}

__attribute__((target("avx2"))) static int32_t
dot_avx2(const int8_t *code, const int16_t *query, Py_ssize_t size)
{
    __m256i one = _mm256_setzero_si256(), other = one;
    for (Py_ssize_t at = 0; at < size; at += 32) {
        __m256i low = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(code + at)));
        __m256i high = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(code + at + 16)));
        one = _mm256_add_epi32(one, _mm256_madd_epi16(low, _mm256_loadu_si256((const __m256i *)(query + at))));
        other = _mm256_add_epi32(
            other, _mm256_madd_epi16(high, _mm256_loadu_si256((const __m256i *)(query + at + 16))));
    }
    __m256i both = _mm256_add_epi32(one, other);
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
    return _mm_cvtsi128_si32(half);
}
#elif defined(__ARM_NEON)
#include <arm_neon.h>

static int32_t
dot_neon(const int8_t *code, const int16_t *query, Py_ssize_t size)
{
    int32x4_t one = vdupq_n_s32(0), other = one;
    for (Py_ssize_t at = 0; at < size; at += 16) {
        int8x16_t bytes = vld1q_s8(code + at);
        int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
        int16x8_t first = vld1q_s16(query + at), second = vld1q_s16(query + at + 8);
        one = vmlal_s16(one, vget_low_s16(low), vget_low_s16(first));
        other = vmlal_s16(other, vget_high_s16(low), vget_high_s16(first));
        one = vmlal_s16(one, vget_low_s16(high), vget_low_s16(second));
        other = vmlal_s16(other, vget_high_s16(high), vget_high_s16(second));
    }
    int32x4_t both = vaddq_s32(one, other);
    return vgetq_lane_s32(both, 0) + vgetq_lane_s32(both, 1) + vgetq_lane_s32(both, 2) + vgetq_lane_s32(both, 3);
}
#endif

static int32_t
dot_plain(const int8_t *code, const int16_t *query, Py_ssize_t size)
{
    int32_t sum = 0;
    for (Py_ssize_t at = 0; at < size; at++)
        sum += (int32_t)code[at] * query[at];
    return sum;
}

static Dot dot = dot_plain;

static void
choose_dot(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    int widest = widest_instructions();
    dot = widest == AVX512 ? dot_avx512 : widest == AVX2 ? dot_avx2 : dot_plain;
#elif defined(__ARM_NEON)
    dot = widest_instructions() == NEON ? dot_neon : dot_plain;
#endif
}

/* Fills a code. `vector` is as it is compared: of length one with cosine, and projected. */
static void
encode_row(Space space, const float *vector, Py_ssize_t dimension, Code *out)
{
    float most = 0;
    for (Py_ssize_t at = 0; at < dimension; at++)
        most = fabsf(vector[at]) > most ? fabsf(vector[at]) : most;
    float step = most / 127;
    float times = step > 0 && isfinite(1 / step) ? 1 / step : 0; /* the shortest vectors have the code of zero */
    int64_t square = 0;
    for (Py_ssize_t at = 0; at < dimension; at++) {
        int number = (int)lrintf(vector[at] * times);
        out->bytes[at] = (int8_t)(number > 127 ? 127 : number < -127 ? -127 : number);
        square += (int64_t)out->bytes[at] * out->bytes[at];
    }
    memset(out->bytes + dimension, 0, (size_t)(padded(dimension) - dimension));
    out->scale = space == L2 ? -2 * step : -step;
    out->offset = space == L2 ? step * step * (float)square : 0;
}

/* What codes are compared with. */
typedef struct {
    int16_t *numbers; /* padded with zeros */
    float step;       /* of these numbers */
    float base;       /* added to each score: the squared length with l2, so that scores of two queries compare */
} Query;

/* Numbers so large that the sum of their products with bytes still fits into 32 bits. */
static void
quantise(const float *vector, Py_ssize_t dimension, Query *out)
{
    double most = 0, sum = 0;
    for (Py_ssize_t at = 0; at < dimension; at++) {
        double size = fabs((double)vector[at]);
        most = size > most ? size : most;
        sum += size;
    }
    double step = most / 32767;
    double least = sum * 127 / 2147000000.0;
    step = step > least ? step : least;
    double times = step > 0 ? 1 / step : 0;
    times = isfinite(times) ? times : 0;
    for (Py_ssize_t at = 0; at < dimension; at++)
        out->numbers[at] = times > 0 ? (int16_t)((double)vector[at] * times) : 0; /* towards 0, so the bound holds */
    memset(out->numbers + dimension, 0, (size_t)(padded(dimension) - dimension) * sizeof *out->numbers);
    out->step = (float)step;
    out->base = 0;
}

/* ---- what a search needs for itself --------------------------------------------------------------------- */

/* A row in the list of the nearest so far. The highest bit of `row` says that its links have been followed. */
typedef struct {
    float score;
    uint32_t row;
} Near;

static const uint32_t FOLLOWED = 1u << 31;

typedef struct Scratch {
    struct Scratch *next;
    uint64_t *seen; /* a bit for each row, all 0 between two searches */
    uint32_t *marked; /* the rows whose bits are 1 */
    Py_ssize_t marks, marks_room;
    Near *near; /* by score */
    Py_ssize_t count, near_room;
    uint32_t *links, *second; /* room for the longest list each */
    uint32_t *fresh;          /* rows to be compared */
    int16_t *numbers, *other; /* of a query */
    float *whole, *projected;
    double *wide; /* a query for exact distances */
    Hit *hits;
    Py_ssize_t hits_room;
    int broken; /* a list of links was not valid, or there was no memory */
} Scratch;

enum { NOT_BROKEN, DAMAGED, OTHER_VECTORS, OTHER_ROWS, NO_MEMORY };

static void
free_scratch(Scratch *scratch)
{
    free(scratch->seen);
    free(scratch->marked);
    free(scratch->near);
    free(scratch->links);
    free(scratch->second);
    free(scratch->fresh);
    free(scratch->numbers);
    free(scratch->other);
    free(scratch->whole);
    free(scratch->projected);
    free(scratch->wide);
    free(scratch->hits);
    free(scratch);
}

enum { FIRST_MARKS = 1024 };

static Scratch *
new_scratch(Py_ssize_t rows, Py_ssize_t dimension, Py_ssize_t kept, Py_ssize_t longest)
{
    Scratch *out = calloc(1, sizeof *out);
    if (!out)
        return NULL;
    out->seen = calloc((size_t)rows / 64 + 1, 8);
    out->marks_room = FIRST_MARKS;
    out->marked = malloc(sizeof(uint32_t) * FIRST_MARKS);
    out->links = malloc(sizeof(uint32_t) * (size_t)longest);
    out->second = malloc(sizeof(uint32_t) * (size_t)longest);
    out->fresh = malloc(sizeof(uint32_t) * 2 * (size_t)longest);
    out->numbers = malloc(sizeof(int16_t) * (size_t)padded(kept));
    out->other = malloc(sizeof(int16_t) * (size_t)padded(kept));
    out->whole = malloc(sizeof(float) * (size_t)(dimension + 1));
    out->projected = malloc(sizeof(float) * (size_t)(kept + 1));
    out->wide = malloc(sizeof(double) * (size_t)(dimension + 1));
    if (out->seen && out->marked && out->links && out->second && out->fresh && out->numbers && out->other &&
        out->whole && out->projected && out->wide)
        return out;
    free_scratch(out);
    return NULL;
}

static int
has_room(Scratch *scratch, Py_ssize_t near, Py_ssize_t hits)
{
    if (near > scratch->near_room) {
        free(scratch->near);
        scratch->near = malloc(sizeof(Near) * (size_t)near);
        scratch->near_room = scratch->near ? near : 0;
    }
    if (hits > scratch->hits_room) {
        free(scratch->hits);
        scratch->hits = malloc(sizeof(Hit) * (size_t)hits);
        scratch->hits_room = scratch->hits ? hits : 0;
    }
    return scratch->near_room >= near && scratch->hits_room >= hits;
}

/* How many a graph keeps for later searches, and the most entries of each list in them. A search of great width or
 * effort needs more: up to 28 bytes for each row. */
enum { MOST_KEPT = 8, MOST_ROOM = 1 << 14, MOST_MARKS = 1 << 16 };

static void
free_large_lists(Scratch *scratch)
{
    if (scratch->near_room > MOST_ROOM) {
        free(scratch->near);
        scratch->near = NULL;
        scratch->near_room = 0;
    }
    if (scratch->hits_room > MOST_ROOM) {
        free(scratch->hits);
        scratch->hits = NULL;
        scratch->hits_room = 0;
    }
    if (scratch->marks_room > MOST_MARKS) {
        uint32_t *smaller = realloc(scratch->marked, sizeof(uint32_t) * FIRST_MARKS);
        if (smaller) {
            scratch->marked = smaller;
            scratch->marks_room = FIRST_MARKS;
        }
    }
}

/* Marks a row as seen. Returns whether it was not seen before. */
static inline int
mark(Scratch *scratch, uint32_t row)
{
    uint64_t bit = 1ull << (row % 64), *word = &scratch->seen[row / 64];
    if (*word & bit)
        return 0;
    if (scratch->marks == scratch->marks_room) {
        uint32_t *larger = realloc(scratch->marked, sizeof(uint32_t) * 2 * (size_t)scratch->marks_room);
        if (!larger) {
            scratch->broken = NO_MEMORY;
            return 0;
        }
        scratch->marked = larger;
        scratch->marks_room *= 2;
    }
    *word |= bit;
    scratch->marked[scratch->marks++] = row;
    return 1;
}

static void
unmark_all(Scratch *scratch)
{
    for (Py_ssize_t each = 0; each < scratch->marks; each++)
        scratch->seen[scratch->marked[each] / 64] = 0;
    scratch->marks = 0;
}

/* Puts a row among the `most` nearest so far. Returns its index, or `most` if it is not among them. */
static inline Py_ssize_t
insert(Scratch *scratch, Py_ssize_t most, float score, uint32_t row)
{
    Near *near = scratch->near;
    Py_ssize_t count = scratch->count;
    if (count == most && !(score < near[count - 1].score))
        return most;
    if (!(score <= FLT_MAX)) /* no number: too long a vector */
        return most;
    Py_ssize_t low = 0, high = count;
    while (low < high) {
        Py_ssize_t middle = (low + high) / 2;
        if (near[middle].score <= score)
            low = middle + 1;
        else
            high = middle;
    }
    count -= count == most;
    memmove(near + low + 1, near + low, sizeof(Near) * (size_t)(count - low));
    near[low] = (Near){score, row};
    scratch->count = count + 1;
    return low;
}

/* ---- codes of many rows --------------------------------------------------------------------------------- */

typedef struct {
    const char *data;
    Py_ssize_t rows, dimension, size, padded; /* size: bytes of a code */
} Codes;

static inline const Code *
code_of(const Codes *codes, uint32_t row)
{
    return (const Code *)(codes->data + (Py_ssize_t)row * codes->size);
}

static inline void
prefetch_code(const Codes *codes, uint32_t row)
{
    const char *from = (const char *)code_of(codes, row);
    for (Py_ssize_t byte = 0; byte < codes->size; byte += LINE)
        PREFETCH(from + byte);
    PREFETCH(from + codes->size - 1);
}

static inline float
score_of(const Codes *codes, const Query *query, uint32_t row)
{
    const Code *code = code_of(codes, row);
    return query->base + code->offset +
           code->scale * (query->step * (float)dot(code->bytes, query->numbers, codes->padded));
}

/* A row as a query, to be compared with other rows. */
static void
as_query(const Codes *codes, Space space, uint32_t row, Query *out)
{
    const Code *code = code_of(codes, row);
    for (Py_ssize_t at = 0; at < codes->padded; at++)
        out->numbers[at] = code->bytes[at];
    out->step = space == L2 ? code->scale / -2 : -code->scale;
    out->base = code->offset;
}

enum { AHEAD = 8 }; /* rows whose codes are on their way while one is compared */

/* Compares rows with the query, and keeps the nearest. Returns the least index of a row that was put in. */
static Py_ssize_t
compare_rows(const Codes *codes, Scratch *scratch, const Query *query, Py_ssize_t most, const uint32_t *rows,
             Py_ssize_t count)
{
    Py_ssize_t least = most;
    for (Py_ssize_t at = 0; at < count && at < AHEAD; at++)
        prefetch_code(codes, rows[at]);
    for (Py_ssize_t at = 0; at < count; at++) {
        if (at + AHEAD < count)
            prefetch_code(codes, rows[at + AHEAD]);
        Py_ssize_t index = insert(scratch, most, score_of(codes, query, rows[at]), rows[at]);
        least = index < least ? index : least;
    }
    return least;
}

/* ---- a graph ---------------------------------------------------------------------------------------------- */

enum { CODES, COUNTS, LINKS, LEVELS, UPPER, MATRIX, SUMS, GRAPH_BUFFERS };

typedef struct {
    PyObject_HEAD
    Space space;
    Codes codes;
    Py_ssize_t dimension, neighbors;
    Py_buffer held[GRAPH_BUFFERS];
    int holds[GRAPH_BUFFERS];
    const uint8_t *links, *levels;
    Py_ssize_t link_bytes, count_bytes, total;
    uint32_t *starts; /* of each row's links */
    uint32_t *high;   /* the rows with upper layers, ascending */
    uint32_t *lists;  /* of each, where its lists begin in `upper`, and where those of the last one end */
    Py_ssize_t highs;
    int entry_level;
    const uint32_t *upper;
    uint32_t entry;
    const float *matrix;
    double floor;
    const uint64_t *sums; /* of the vectors, block by block; NULL: the caller has checked them */
    Py_ssize_t block_rows;
    uint8_t *checked; /* for each block whether it was compared with its sum */
    Scratch *scratch; /* not in use */
    int kept;         /* how many these are */
} Graph;

/* Reads the links of a row into `out`. Returns their number, or -1 if they are damaged. */
static Py_ssize_t
links_of(const Graph *graph, uint32_t row, uint32_t *out)
{
    Py_ssize_t start = graph->starts[row];
    Py_ssize_t count = (Py_ssize_t)graph->starts[row + 1] - start;
    const uint8_t *from = graph->links + start * graph->link_bytes;
    uint32_t rows = (uint32_t)graph->codes.rows, largest = 0;
    switch (graph->link_bytes) {
    case 1:
        for (Py_ssize_t at = 0; at < count; at++)
            out[at] = from[at];
        break;
    case 2:
        for (Py_ssize_t at = 0; at < count; at++)
            out[at] = (uint32_t)from[2 * at] | (uint32_t)from[2 * at + 1] << 8;
        break;
    case 3:
        for (Py_ssize_t at = 0; at < count; at++)
            out[at] = (uint32_t)from[3 * at] | (uint32_t)from[3 * at + 1] << 8 | (uint32_t)from[3 * at + 2] << 16;
        break;
    default:
        for (Py_ssize_t at = 0; at < count; at++)
            out[at] = (uint32_t)from[4 * at] | (uint32_t)from[4 * at + 1] << 8 | (uint32_t)from[4 * at + 2] << 16 |
                      (uint32_t)from[4 * at + 3] << 24;
    }
    for (Py_ssize_t at = 0; at < count; at++)
        largest = out[at] > largest ? out[at] : largest;
    return !count || largest < rows ? count : -1;
}

static inline void
prefetch_links(const Graph *graph, uint32_t row)
{
    const uint8_t *from = graph->links + (Py_ssize_t)graph->starts[row] * graph->link_bytes;
    PREFETCH(from);
    PREFETCH(from + LINE);
}

/* The list of a row in an upper layer, its number of links first; NULL if the row is not in the layer. */
static const uint32_t *
upper_list(const Graph *graph, uint32_t row, int layer)
{
    Py_ssize_t low = 0, high = graph->highs;
    while (low < high) {
        Py_ssize_t middle = (low + high) / 2;
        if (graph->high[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == graph->highs || graph->high[low] != row || graph->lists[low + 1] - graph->lists[low] < (uint32_t)layer)
        return NULL;
    return graph->upper + ((Py_ssize_t)graph->lists[low] + layer - 1) * (graph->neighbors + 1);
}

/* Copies the links of a row in an upper layer, so that what is checked is what is used. Returns their number, or -1 if
 * they are damaged. */
static Py_ssize_t
upper_links_of(const Graph *graph, uint32_t row, int layer, uint32_t *out)
{
    const uint32_t *list = upper_list(graph, row, layer);
    Py_ssize_t count = list ? (Py_ssize_t)__atomic_load_n(&list[0], __ATOMIC_RELAXED) : -1;
    if (count > graph->neighbors)
        return -1;
    for (Py_ssize_t each = 0; each < count; each++) {
        out[each] = __atomic_load_n(&list[each + 1], __ATOMIC_RELAXED);
        if (out[each] >= (uint32_t)graph->codes.rows)
            return -1;
    }
    return count;
}

/* Goes down through the upper layers, to the nearest row in each. */
static uint32_t
descend(const Graph *graph, Scratch *scratch, const Query *query)
{
    uint32_t at = graph->entry;
    float best = score_of(&graph->codes, query, at);
    for (int layer = graph->entry_level; layer > 0; layer--) {
        for (int moved = 1; moved;) {
            moved = 0;
            Py_ssize_t count = upper_links_of(graph, at, layer, scratch->links);
            if (count < 0) {
                scratch->broken = DAMAGED;
                return at;
            }
            for (Py_ssize_t each = 0; each < count; each++)
                prefetch_code(&graph->codes, scratch->links[each]);
            for (Py_ssize_t each = 0; each < count; each++) {
                float score = score_of(&graph->codes, query, scratch->links[each]);
                if (score < best) {
                    best = score;
                    at = scratch->links[each];
                    moved = 1;
                }
            }
        }
    }
    return at;
}

static inline int
is_in(const uint8_t *bits, uint32_t row)
{
    return bits[row / 8] >> (row % 8) & 1;
}

/* Follows the links of a row: compares the rows there that were not seen yet. */
static Py_ssize_t
follow(const Graph *graph, Scratch *scratch, const Query *query, Py_ssize_t most, uint32_t row)
{
    Py_ssize_t count = links_of(graph, row, scratch->links), fresh = 0;
    if (count < 0) {
        scratch->broken = DAMAGED;
        return most;
    }
    for (Py_ssize_t at = 0; at < count; at++)
        if (mark(scratch, scratch->links[at]))
            scratch->fresh[fresh++] = scratch->links[at];
    return compare_rows(&graph->codes, scratch, query, most, scratch->fresh, fresh);
}

/* The same among allowed rows only. Where a link leads to another row, its links are followed, too, until there are
 * as many rows as a list may have links. */
static Py_ssize_t
follow_allowed(const Graph *graph, Scratch *scratch, const Query *query, Py_ssize_t most, uint32_t row,
               const uint8_t *allowed)
{
    Py_ssize_t count = links_of(graph, row, scratch->links), fresh = 0, others = 0;
    Py_ssize_t enough = 2 * graph->neighbors;
    for (Py_ssize_t at = 0; at < count; at++) {
        uint32_t target = scratch->links[at];
        if (is_in(allowed, target)) {
            if (mark(scratch, target))
                scratch->fresh[fresh++] = target;
        } else if (mark(scratch, target)) {
            prefetch_links(graph, target);
            scratch->links[others++] = target;
        }
    }
    for (Py_ssize_t other = 0; other < others && fresh < enough && count >= 0; other++) {
        count = links_of(graph, scratch->links[other], scratch->second);
        for (Py_ssize_t at = 0; at < count && fresh < enough; at++) {
            uint32_t target = scratch->second[at];
            if (is_in(allowed, target) && mark(scratch, target))
                scratch->fresh[fresh++] = target;
        }
    }
    if (count < 0) {
        scratch->broken = DAMAGED;
        return most;
    }
    return compare_rows(&graph->codes, scratch, query, most, scratch->fresh, fresh);
}

/* Follows links from the rows in the list on, nearest first, until those of the `ef` nearest rows are followed. */
static void
walk(const Graph *graph, Scratch *scratch, const Query *query, Py_ssize_t ef, const uint8_t *allowed)
{
    Py_ssize_t next = 0;
    while (next < scratch->count && !scratch->broken) {
        Near *near = &scratch->near[next];
        if (near->row & FOLLOWED) {
            next++;
            continue;
        }
        uint32_t row = near->row;
        near->row |= FOLLOWED;
        if (next + 1 < scratch->count)
            prefetch_links(graph, scratch->near[next + 1].row & ~FOLLOWED);
        Py_ssize_t least = allowed ? follow_allowed(graph, scratch, query, ef, row, allowed)
                                   : follow(graph, scratch, query, ef, row);
        next = least <= next ? least : next + 1;
    }
}

enum { NEAR_SEEDS = 32, SPREAD_SEEDS = 512, PROBES = 64 };

/* Begins a walk among allowed rows: at those that a short walk among all rows meets, and at some that are spread over
 * the whole segment, because the allowed rows may be far from the query. */
static void
begin_allowed(const Graph *graph, Scratch *scratch, const Query *query, Py_ssize_t ef, const uint8_t *allowed,
              uint32_t from)
{
    Py_ssize_t rows = graph->codes.rows, fresh = 0;
    Near start[NEAR_SEEDS];
    Py_ssize_t few = ef < NEAR_SEEDS ? ef : NEAR_SEEDS;
    mark(scratch, from);
    insert(scratch, few, score_of(&graph->codes, query, from), from);
    walk(graph, scratch, query, few, NULL);
    Py_ssize_t count = scratch->count;
    memcpy(start, scratch->near, sizeof(Near) * (size_t)count);
    unmark_all(scratch);
    scratch->count = 0;
    uint32_t seeds[SPREAD_SEEDS];
    for (Py_ssize_t each = 0; each < SPREAD_SEEDS; each++) {
        Py_ssize_t byte = rows / 8 * each / SPREAD_SEEDS, end = rows / 8 * (each + 1) / SPREAD_SEEDS;
        end = end < byte + PROBES ? end : byte + PROBES;
        while (byte < end && !allowed[byte])
            byte++;
        if (byte < end)
            for (uint32_t row = 8 * (uint32_t)byte; row < 8 * (uint32_t)byte + 8; row++)
                if (is_in(allowed, row) && mark(scratch, row)) {
                    seeds[fresh++] = row;
                    break;
                }
    }
    compare_rows(&graph->codes, scratch, query, ef, seeds, fresh);
    for (Py_ssize_t each = 0; each < count && !scratch->broken; each++) {
        uint32_t row = start[each].row & ~FOLLOWED;
        if (is_in(allowed, row)) {
            if (mark(scratch, row))
                insert(scratch, ef, start[each].score, row);
        } else
            follow_allowed(graph, scratch, query, ef, row, allowed);
    }
}

/* ---- exact distances ------------------------------------------------------------------------------------- */

typedef struct {
    Space space;
    Py_ssize_t rows, dimension;
    const float *data;
} Vectors;

static inline void
prefetch_vector(const Vectors *vectors, uint32_t row)
{
    const char *from = (const char *)(vectors->data + (Py_ssize_t)row * vectors->dimension);
    for (Py_ssize_t byte = 0; byte < 4 * vectors->dimension; byte += LINE)
        PREFETCH(from + byte);
}

static float
exact_distance(const Vectors *vectors, const double *query, uint32_t row)
{
    const float *vector = vectors->data + (Py_ssize_t)row * vectors->dimension;
    if (vectors->space == L2)
        return (float)squared_difference(vector, query, vectors->dimension);
    double dot = product(vector, query, vectors->dimension);
    if (vectors->space == COSINE)
        dot /= length_of(vector, vectors->dimension);
    return (float)(1.0 - dot);
}

static inline uint64_t
rotated(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static inline uint64_t
word_at(const uint8_t *at)
{
    uint64_t out;
    memcpy(&out, at, sizeof out);
    return out;
}

/* XXH64 of bytes whose number is a multiple of 4, with seed 0 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md). */
static uint64_t
xxh64(const uint8_t *at, size_t size)
{
    static const uint64_t one = 0x9E3779B185EBCA87, two = 0xC2B2AE3D27D4EB4F, three = 0x165667B19E3779F9;
    static const uint64_t four = 0x85EBCA77C2B2AE63, five = 0x27D4EB2F165667C5;
    const uint8_t *end = at + size;
    uint64_t hash = five;
    if (size >= 32) {
        uint64_t lanes[4] = {one + two, two, 0, 0 - one};
        for (; end - at >= 32; at += 32)
            for (int lane = 0; lane < 4; lane++)
                lanes[lane] = rotated(lanes[lane] + word_at(at + 8 * lane) * two, 31) * one;
        hash = rotated(lanes[0], 1) + rotated(lanes[1], 7) + rotated(lanes[2], 12) + rotated(lanes[3], 18);
        for (int lane = 0; lane < 4; lane++)
            hash = (hash ^ rotated(lanes[lane] * two, 31) * one) * one + four;
    }
    hash += size;
    for (; end - at >= 8; at += 8)
        hash = rotated(hash ^ rotated(word_at(at) * two, 31) * one, 27) * one + four;
    if (end - at >= 4) {
        uint32_t word;
        memcpy(&word, at, sizeof word);
        hash = rotated(hash ^ word * one, 23) * two + three;
    }
    hash = (hash ^ hash >> 33) * two;
    hash = (hash ^ hash >> 29) * three;
    return hash ^ hash >> 32;
}

/* The sum of a block of vectors. */
static uint64_t
sum_of(const Vectors *vectors, Py_ssize_t block, Py_ssize_t block_rows)
{
    Py_ssize_t start = block * block_rows;
    Py_ssize_t rows = vectors->rows - start < block_rows ? vectors->rows - start : block_rows;
    return xxh64((const uint8_t *)(vectors->data + start * vectors->dimension), (size_t)(4 * rows * vectors->dimension));
}

/* Lets the system read the blocks of these rows that were not checked yet, all at the same time. */
static void
fetch_blocks(const Graph *graph, const Vectors *vectors, const Near *near, Py_ssize_t count)
{
#if !defined(_WIN32)
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (Py_ssize_t at = 0; at < count && graph->sums; at++) {
        Py_ssize_t block = (Py_ssize_t)(near[at].row & ~FOLLOWED) / graph->block_rows, start = block * graph->block_rows;
        Py_ssize_t rows = vectors->rows - start < graph->block_rows ? vectors->rows - start : graph->block_rows;
        if (__atomic_load_n(&graph->checked[block], __ATOMIC_RELAXED))
            continue;
        uintptr_t from = (uintptr_t)(vectors->data + start * vectors->dimension), to = from + (uintptr_t)(4 * rows * vectors->dimension);
        madvise((void *)(from / page * page), to - from / page * page, MADV_WILLNEED); /* only advice: it may fail */
    }
#endif
}

/* Whether a vector is the one that was indexed. Compares its block with the sum, once. */
static inline int
is_intact(const Graph *graph, const Vectors *vectors, uint32_t row)
{
    if (!graph->sums)
        return 1;
    Py_ssize_t block = (Py_ssize_t)row / graph->block_rows;
    if (__atomic_load_n(&graph->checked[block], __ATOMIC_RELAXED))
        return 1;
    if (sum_of(vectors, block, graph->block_rows) != graph->sums[block])
        return 0;
    __atomic_store_n(&graph->checked[block], 1, __ATOMIC_RELAXED);
    return 1;
}

/* Ranks the first `width` rows of the list by their vectors. Returns how many of the best are in `scratch->hits`. */
static Py_ssize_t
rerank(const Graph *graph, const Vectors *vectors, Scratch *scratch, Py_ssize_t width)
{
    Py_ssize_t count = scratch->count < width ? scratch->count : width;
    fetch_blocks(graph, vectors, scratch->near, count);
    for (Py_ssize_t at = 0; at < count; at++)
        if (!is_intact(graph, vectors, scratch->near[at].row & ~FOLLOWED)) {
            scratch->broken = OTHER_VECTORS;
            return 0;
        }
    for (Py_ssize_t at = 0; at < count && at < 2; at++)
        prefetch_vector(vectors, scratch->near[at].row & ~FOLLOWED);
    for (Py_ssize_t at = 0; at < count; at++) {
        uint32_t row = scratch->near[at].row & ~FOLLOWED;
        if (at + 2 < count)
            prefetch_vector(vectors, scratch->near[at + 2].row & ~FOLLOWED);
        scratch->hits[at] = (Hit){exact_distance(vectors, scratch->wide, row), row};
    }
    qsort(scratch->hits, (size_t)count, sizeof(Hit), compare);
    return count;
}

/* ---- a search -------------------------------------------------------------------------------------------- */

static PyObject *damaged; /* the exception */

/* What a search is to do. `rows`: compare the codes of these rows instead of walking; NULL and `scanned`: of all
 * that are allowed. */
typedef struct {
    Vectors vectors;
    Py_ssize_t k, ef, width, factor;
    const uint8_t *allowed; /* bits, or NULL: all rows */
    int scanned;
    const int64_t *rows;
    Py_ssize_t row_count;
} Task;

/* Makes the query as the codes have vectors. Returns whether it is out of distribution. */
static int
prepare(const Graph *graph, const Task *task, Scratch *scratch, const float *given, Query *query)
{
    Py_ssize_t dimension = graph->dimension;
    double length = graph->space == COSINE ? length_of(given, dimension) : 1, square = 0, left = 0;
    for (Py_ssize_t at = 0; at < dimension; at++) {
        scratch->wide[at] = (double)given[at] / length;
        scratch->whole[at] = (float)scratch->wide[at];
    }
    const float *vector = scratch->whole;
    if (graph->matrix) {
        multiply(scratch->whole, graph->matrix, dimension, graph->codes.dimension, scratch->projected);
        vector = scratch->projected;
        square = square_of(scratch->whole, dimension);
        left = square_of(vector, graph->codes.dimension);
    }
    query->numbers = scratch->numbers;
    quantise(vector, graph->codes.dimension, query);
    return graph->matrix && left < graph->floor * square;
}

static void
scan(const Graph *graph, const Task *task, Scratch *scratch, const Query *query)
{
    const Codes *codes = &graph->codes;
    if (task->rows) {
        for (Py_ssize_t at = 0; at < task->row_count; at++) {
            uint32_t row = (uint32_t)task->rows[at];
            if (at + AHEAD < task->row_count)
                prefetch_code(codes, (uint32_t)task->rows[at + AHEAD]);
            insert(scratch, task->width, score_of(codes, query, row), row);
        }
        return;
    }
    uint32_t waiting[LINE];
    Py_ssize_t count = 0, rows = codes->rows;
    for (Py_ssize_t byte = 0; byte < (rows + 7) / 8; byte++) {
        unsigned bits = task->allowed ? task->allowed[byte] : 0xff;
        for (uint32_t row = 8 * (uint32_t)byte; bits; row++, bits >>= 1)
            if (bits & 1 && row < (uint32_t)rows) {
                prefetch_code(codes, row);
                waiting[count++] = row;
            }
        if (count > LINE - 8 || byte + 1 == (rows + 7) / 8) {
            for (Py_ssize_t at = 0; at < count; at++)
                insert(scratch, task->width, score_of(codes, query, waiting[at]), waiting[at]);
            count = 0;
        }
    }
}

/* Searches for one query. Fills a line of the outputs; `counts`: the candidates, and whether the query is out of distribution. */
static void
search_one(const Graph *graph, const Task *task, Scratch *scratch, const float *given, int64_t *rows,
           float *distances, int32_t *counts)
{
    Query query;
    Py_ssize_t found = 0;
    int odd = prepare(graph, task, scratch, given, &query);
    Py_ssize_t factor = odd ? task->factor : 1, rows_most = graph->codes.rows;
    Py_ssize_t ef = task->ef * factor < rows_most ? task->ef * factor : rows_most;
    Py_ssize_t width = task->width * factor < rows_most ? task->width * factor : rows_most;
    scratch->count = 0;
    Task wider = *task;
    wider.width = width;
    if (!has_room(scratch, (task->scanned || ef < width ? width : ef) + 1, width + 1))
        scratch->broken = NO_MEMORY;
    else if (task->scanned)
        scan(graph, &wider, scratch, &query);
    else {
        uint32_t from = descend(graph, scratch, &query);
        if (task->allowed && !scratch->broken)
            begin_allowed(graph, scratch, &query, ef, task->allowed, from);
        else if (!scratch->broken) {
            mark(scratch, from);
            insert(scratch, ef, score_of(&graph->codes, &query, from), from);
        }
        walk(graph, scratch, &query, ef, task->allowed);
        unmark_all(scratch);
    }
    if (!scratch->broken)
        found = rerank(graph, &task->vectors, scratch, width);
    counts[0] = (int32_t)found;
    counts[1] = odd;
    for (Py_ssize_t at = 0; at < task->k; at++) {
        rows[at] = at < found ? scratch->hits[at].row : -1;
        distances[at] = at < found ? scratch->hits[at].distance : NAN;
    }
}

/* Takes what a search needs for itself, while the interpreter's lock is held. */
static Scratch *
take_scratch(Graph *graph)
{
    Scratch *out = graph->scratch;
    if (out) {
        graph->scratch = out->next;
        graph->kept--;
        return out;
    }
    out = new_scratch(graph->codes.rows, graph->dimension, graph->codes.dimension, 2 * graph->neighbors + 1);
    if (!out)
        PyErr_NoMemory();
    return out;
}

/* Keeps it for a later search, or frees it, while the interpreter's lock is held. */
static void
give_back(Graph *graph, Scratch *scratch)
{
    if (graph->kept == MOST_KEPT) {
        free_scratch(scratch);
        return;
    }
    free_large_lists(scratch);
    scratch->next = graph->scratch;
    graph->scratch = scratch;
    graph->kept++;
}

PyDoc_STRVAR(kept_doc, "kept(): how many parts of memory are kept for later searches, and their bytes.");

static PyObject *
kept_scratch(PyObject *self, PyObject *unused)
{
    Graph *graph = (Graph *)self;
    Py_ssize_t bytes = 0, longest = 2 * graph->neighbors + 1, dimension = graph->codes.dimension;
    for (Scratch *each = graph->scratch; each; each = each->next)
        bytes += (Py_ssize_t)sizeof *each + 8 * (graph->codes.rows / 64 + 1) + 4 * each->marks_room +
                 (Py_ssize_t)sizeof(Near) * each->near_room + (Py_ssize_t)sizeof(Hit) * each->hits_room + 16 * longest +
                 4 * padded(dimension) + 4 * (dimension + 1) + 12 * (graph->dimension + 1);
    return Py_BuildValue("in", graph->kept, bytes);
}

PyDoc_STRVAR(search_doc,
             "search(queries, vectors, k, ef, width, factor, allowed, rows, rows_out, distances_out, counts_out)\n\n"
             "The k best of `width` candidates for each of the queries, float32 (n, dimension). `allowed`: a bit for each\n"
             "row (numpy.packbits, little), or None. `rows`: None: walk through the graph; True: compare the codes of\n"
             "all allowed rows; int64 (m,): of these. Outputs: int64 (n, k), padded with -1; float32 (n, k), padded with\n"
             "NaN; int32 (n, 2): the number of candidates, and whether the query is out of distribution, when `ef` and\n"
             "`width` are multiplied by `factor`. Raises Damaged if a link leads nowhere, or if a block\n"
             "of vectors is not the one that was indexed.");

static PyObject *
search(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    Graph *graph = (Graph *)self;
    Py_buffer queries, vectors, allowed, picked, rows, distances, counts;
    Task task = {{0}};
    Scratch *scratch = NULL;
    PyObject *done = NULL;
    if (arguments("search", given, 11) < 0)
        return NULL;
    task.k = PyLong_AsSsize_t(args[2]);
    task.ef = PyLong_AsSsize_t(args[3]);
    task.width = PyLong_AsSsize_t(args[4]);
    task.factor = PyLong_AsSsize_t(args[5]);
    if (PyErr_Occurred())
        return NULL;
    const Py_ssize_t most = 1 << 30;
    if (task.k < 1 || task.ef < 1 || task.width < 1 || task.factor < 1 || task.factor > 64 || task.ef > most ||
        task.width > most || task.k > most) {
        PyErr_SetString(PyExc_ValueError, "k, ef, width and factor are from 1 to 2**30, factor to 64");
        return NULL;
    }
    task.ef = task.ef < graph->codes.rows ? task.ef : graph->codes.rows;
    task.width = task.width < graph->codes.rows ? task.width : graph->codes.rows;
    if (task.ef < task.width)
        task.ef = task.width;
    if (get(args[0], &queries, "queries", 2, FLOAT, 4, 0) < 0)
        return NULL;
    Py_ssize_t lines = queries.shape[0];
    if (get(args[1], &vectors, "vectors", 2, FLOAT, 4, 0) < 0)
        goto queries_held;
    task.vectors = (Vectors){graph->space, vectors.shape[0], vectors.shape[1], vectors.buf};
    int filtered = args[6] != Py_None, some = args[7] != Py_None && args[7] != Py_True;
    task.scanned = args[7] != Py_None;
    if (filtered && PyObject_GetBuffer(args[6], &allowed, PyBUF_SIMPLE) < 0)
        goto vectors_held;
    if (some && get(args[7], &picked, "rows", 1, INT64, 8, 0) < 0)
        goto allowed_held;
    if (get(args[8], &rows, "rows_out", 2, INT64, 8, 1) < 0)
        goto picked_held;
    if (get(args[9], &distances, "distances_out", 2, FLOAT, 4, 1) < 0)
        goto rows_held;
    if (get(args[10], &counts, "counts_out", 2, INT32, 4, 1) < 0)
        goto distances_held;
    if (counted("queries", queries.shape[1], graph->dimension) < 0 ||
        counted("a vector", vectors.shape[1], graph->dimension) < 0 ||
        counted("vectors", vectors.shape[0], graph->codes.rows) < 0 ||
        (filtered && counted("allowed", allowed.len, (graph->codes.rows + 7) / 8) < 0) ||
        counted("rows_out", rows.shape[0], lines) < 0 || counted("a line of rows_out", rows.shape[1], task.k) < 0 ||
        counted("distances_out", distances.shape[0], lines) < 0 ||
        counted("a line of distances_out", distances.shape[1], task.k) < 0 ||
        counted("counts_out", counts.shape[0], lines) < 0 || counted("a line of counts_out", counts.shape[1], 2) < 0)
        goto all_held;
    if (filtered)
        task.allowed = allowed.buf;
    if (some) {
        task.rows = picked.buf;
        task.row_count = picked.shape[0];
    }
    scratch = take_scratch(graph);
    if (!scratch)
        goto all_held;
    scratch->broken = NOT_BROKEN;
    Py_ssize_t wrong = -1;
    PyThreadState *state = give_lock();
    for (Py_ssize_t at = 0; at < task.row_count && wrong < 0; at++)
        if (task.rows[at] < 0 || task.rows[at] >= graph->codes.rows)
            wrong = at;
    for (Py_ssize_t line = 0; line < lines && !scratch->broken && wrong < 0; line++)
        search_one(graph, &task, scratch, (const float *)queries.buf + line * graph->dimension,
                   (int64_t *)rows.buf + line * task.k, (float *)distances.buf + line * task.k,
                   (int32_t *)counts.buf + line * 2);
    take_lock(state);
    if (wrong >= 0)
        PyErr_Format(PyExc_IndexError, "row %lld of %zd", (long long)task.rows[wrong], graph->codes.rows);
    else if (scratch->broken == DAMAGED)
        PyErr_SetString(damaged, "a link leads to a row that is not there, or not in its layer");
    else if (scratch->broken == OTHER_VECTORS)
        PyErr_SetString(damaged, "a vector is not the one that was indexed");
    else if (scratch->broken)
        PyErr_NoMemory();
    else
        done = Py_NewRef(Py_None);
    give_back(graph, scratch);
all_held:
    PyBuffer_Release(&counts);
distances_held:
    PyBuffer_Release(&distances);
rows_held:
    PyBuffer_Release(&rows);
picked_held:
    if (some)
        PyBuffer_Release(&picked);
allowed_held:
    if (filtered)
        PyBuffer_Release(&allowed);
vectors_held:
    PyBuffer_Release(&vectors);
queries_held:
    PyBuffer_Release(&queries);
    return done;
}

/* ---- opening a graph ---------------------------------------------------------------------------------------- */

static void
graph_dealloc(PyObject *self)
{
    Graph *graph = (Graph *)self;
    PyTypeObject *type = Py_TYPE(self);
    while (graph->scratch) {
        Scratch *next = graph->scratch->next;
        free_scratch(graph->scratch);
        graph->scratch = next;
    }
    for (int each = 0; each < GRAPH_BUFFERS; each++)
        if (graph->holds[each])
            PyBuffer_Release(&graph->held[each]);
    PyMem_RawFree(graph->starts);
    PyMem_RawFree(graph->high);
    PyMem_RawFree(graph->lists);
    PyMem_RawFree(graph->checked);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static int
take(Graph *graph, int which, PyObject *object, const char *name, int ndim, const char *letters, Py_ssize_t size)
{
    if (get(object, &graph->held[which], name, ndim, letters, size, 0) < 0)
        return -1;
    graph->holds[which] = 1;
    return 0;
}

#define UINT8 "B"
#define UINT16 "H"
#define UINT64 "LQ"

/* Adds up the numbers of links. */
static int
find_starts(Graph *graph)
{
    Py_ssize_t rows = graph->codes.rows;
    const uint8_t *narrow = graph->held[COUNTS].buf;
    const uint16_t *wide = graph->held[COUNTS].buf;
    uint64_t total = 0, most = 0;
    graph->starts = PyMem_RawMalloc(sizeof(uint32_t) * (size_t)(rows + 1));
    if (!graph->starts) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t row = 0; row < rows; row++) {
        uint64_t count = graph->count_bytes == 1 ? narrow[row] : wide[row];
        graph->starts[row] = (uint32_t)total;
        total += count;
        most = count > most ? count : most;
    }
    graph->starts[rows] = (uint32_t)total;
    if (most > (uint64_t)(2 * graph->neighbors) || total > UINT32_MAX ||
        total * (uint64_t)graph->link_bytes != (uint64_t)graph->held[LINKS].len) {
        PyErr_SetString(PyExc_ValueError, "it has other links than it says");
        return -1;
    }
    return 0;
}

/* Finds the rows of the upper layers, and their lists. */
static int
find_high(Graph *graph)
{
    Py_ssize_t rows = graph->codes.rows, highs = 0;
    uint64_t total = 0;
    for (Py_ssize_t row = 0; row < rows; row++)
        highs += graph->levels[row] > 0;
    graph->highs = highs;
    graph->entry_level = graph->levels[graph->entry];
    graph->high = PyMem_RawMalloc(sizeof(uint32_t) * (size_t)(highs + 1));
    graph->lists = PyMem_RawMalloc(sizeof(uint32_t) * (size_t)(highs + 1));
    if (!graph->high || !graph->lists) {
        PyErr_NoMemory();
        return -1;
    }
    highs = 0;
    for (Py_ssize_t row = 0; row < rows && highs < graph->highs; row++)
        if (graph->levels[row]) {
            graph->high[highs] = (uint32_t)row;
            graph->lists[highs++] = (uint32_t)total;
            total += graph->levels[row];
        }
    graph->lists[highs] = (uint32_t)total;
    graph->highs = highs;
    if (total > UINT32_MAX ||
        (uint64_t)graph->held[UPPER].len != total * 4 * (uint64_t)(graph->neighbors + 1)) {
        PyErr_SetString(PyExc_ValueError, "it has other upper layers than it says");
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(graph_doc,
             "Graph(space, codes, counts, links, levels, upper, neighbors, entry, matrix, floor, dimension, sums,\n"
             "block_rows)\n\n"
             "A graph in these buffers, which must not change: codes uint8 (rows, bytes of a code); counts uint8 or\n"
             "uint16 (rows,): the number of links of each row; links uint8: their targets, of as many bytes as a row\n"
             "number needs; levels uint8 (rows,): the upper layers of each row; upper uint32: for each of these layers\n"
             "the number of links and `neighbors` targets; matrix float32 (dimension, kept) or None. sums\n"
             "uint64: the sum of each block of `block_rows` vectors, see `sums`; None: the vectors need no check.");

static PyObject *
graph_new(PyTypeObject *type, PyObject *args, PyObject *kwds)
{
    PyObject *space, *codes, *counts, *links, *levels, *upper, *matrix, *sums;
    Py_ssize_t neighbors, entry, dimension, block_rows;
    double floor;
    if (!PyArg_ParseTuple(args, "OOOOOOnnOdnOn:Graph", &space, &codes, &counts, &links, &levels, &upper, &neighbors,
                          &entry, &matrix, &floor, &dimension, &sums, &block_rows))
        return NULL;
    allocfunc make = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Graph *graph = (Graph *)make(type, 0);
    if (!graph)
        return NULL;
    if (read_space(space, &graph->space) < 0 || take(graph, CODES, codes, "codes", 2, UINT8, 1) < 0 ||
        take(graph, LINKS, links, "links", 1, UINT8, 1) < 0 || take(graph, LEVELS, levels, "levels", 1, UINT8, 1) < 0 ||
        take(graph, UPPER, upper, "upper", 1, UINT32, 4) < 0)
        goto failed;
    if (PyObject_GetBuffer(counts, &graph->held[COUNTS], PyBUF_FORMAT | PyBUF_ND | PyBUF_C_CONTIGUOUS) < 0)
        goto failed;
    graph->holds[COUNTS] = 1;
    graph->count_bytes = graph->held[COUNTS].itemsize;
    if (graph->held[COUNTS].ndim != 1 || (!is_of(&graph->held[COUNTS], UINT8, 1) && !is_of(&graph->held[COUNTS], UINT16, 2))) {
        PyErr_SetString(PyExc_TypeError, "counts are a line of uint8 or uint16, aligned");
        goto failed;
    }
    Py_ssize_t rows = graph->held[CODES].shape[0], kept = dimension;
    if (matrix != Py_None) {
        if (take(graph, MATRIX, matrix, "matrix", 2, FLOAT, 4) < 0 ||
            counted("matrix", graph->held[MATRIX].shape[0], dimension) < 0)
            goto failed;
        kept = graph->held[MATRIX].shape[1];
        graph->matrix = graph->held[MATRIX].buf;
    }
    if (rows < 1 || (uint64_t)rows >= FOLLOWED || dimension < 1 || kept < 1 || kept > 1 << 20 || neighbors < 1 ||
        neighbors > 10000 || entry < 0 || entry >= rows) {
        PyErr_SetString(PyExc_ValueError, "rows, dimension, neighbors or entry are out of range");
        goto failed;
    }
    if (sums != Py_None) {
        if (block_rows < 1) {
            PyErr_SetString(PyExc_ValueError, "block_rows is less than 1");
            goto failed;
        }
        Py_ssize_t blocks = rows / block_rows + (rows % block_rows > 0);
        if (take(graph, SUMS, sums, "sums", 1, UINT64, 8) < 0 || counted("sums", graph->held[SUMS].shape[0], blocks) < 0)
            goto failed;
        graph->checked = PyMem_RawCalloc((size_t)blocks, 1);
        if (!graph->checked) {
            PyErr_NoMemory();
            goto failed;
        }
        graph->sums = graph->held[SUMS].buf;
        graph->block_rows = block_rows;
    }
    graph->codes = (Codes){graph->held[CODES].buf, rows, kept, code_bytes(kept), padded(kept)};
    graph->dimension = dimension;
    graph->neighbors = neighbors;
    graph->entry = (uint32_t)entry;
    graph->floor = floor;
    graph->links = graph->held[LINKS].buf;
    graph->levels = graph->held[LEVELS].buf;
    graph->upper = graph->held[UPPER].buf;
    graph->link_bytes = rows <= 1 << 8 ? 1 : rows <= 1 << 16 ? 2 : rows <= 1 << 24 ? 3 : 4;
    if ((uintptr_t)graph->codes.data % 4) {
        PyErr_SetString(PyExc_ValueError, "codes are not aligned");
        goto failed;
    }
    if (counted("a code", graph->held[CODES].shape[1], graph->codes.size) < 0 ||
        counted("counts", graph->held[COUNTS].shape[0], rows) < 0 ||
        counted("levels", graph->held[LEVELS].shape[0], rows) < 0 || find_starts(graph) < 0 || find_high(graph) < 0)
        goto failed;
    return (PyObject *)graph;
failed:
    Py_DECREF(graph);
    return NULL;
}

static PyMethodDef graph_methods[] = {
    {"search", (PyCFunction)(void (*)(void))search, METH_FASTCALL, search_doc},
    {"kept", kept_scratch, METH_NOARGS, kept_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot graph_slots[] = {
    {Py_tp_new, graph_new},
    {Py_tp_dealloc, graph_dealloc},
    {Py_tp_methods, graph_methods},
    {Py_tp_doc, (void *)graph_doc},
    {0, NULL},
};

static PyType_Spec graph_spec = {"chroma.storage.native._graph.Graph", sizeof(Graph), 0, Py_TPFLAGS_DEFAULT, graph_slots};

/* ---- building ------------------------------------------------------------------------------------------------ */

enum { BUILT_CODES, GROUND, BUILT_LEVELS, BUILT_UPPER, BUILDER_BUFFERS };

/* A graph that grows. Threads insert rows at the same time: a writer of a list has the row's lock, and readers have
 * none, because each number in a list is a row at any time. */
typedef struct {
    PyObject_HEAD
    Space space;
    Codes codes;
    Py_ssize_t neighbors, ef;
    Py_buffer held[BUILDER_BUFFERS];
    int holds[BUILDER_BUFFERS];
    uint32_t *ground; /* for each row the number of links, then 2 * neighbors targets */
    const uint8_t *levels;
    uint32_t *upper;
    uint32_t *lists; /* of each row, where its lists begin in `upper` */
    uint8_t *locks, entry_lock;
    int64_t entry; /* -1: there are no rows yet */
    int layers;    /* of the highest row, with the ground layer */
    Scratch *scratch;
} Builder;

static void
lock(uint8_t *at)
{
    for (int tries = 0; __atomic_test_and_set(at, __ATOMIC_ACQUIRE); tries++)
        if (tries > 64)
            YIELD();
}

static void
unlock(uint8_t *at)
{
    __atomic_clear(at, __ATOMIC_RELEASE);
}

static uint32_t *
list_of(const Builder *builder, uint32_t row, int layer)
{
    if (!layer)
        return builder->ground + (Py_ssize_t)row * (2 * builder->neighbors + 1);
    return builder->upper + ((Py_ssize_t)builder->lists[row] + layer - 1) * (builder->neighbors + 1);
}

static Py_ssize_t
copied_list(const Builder *builder, uint32_t row, int layer, uint32_t *out)
{
    const uint32_t *list = list_of(builder, row, layer);
    uint32_t count = __atomic_load_n(&list[0], __ATOMIC_ACQUIRE);
    for (uint32_t each = 0; each < count; each++)
        out[each] = __atomic_load_n(&list[each + 1], __ATOMIC_RELAXED);
    return count;
}

static void
build_walk(const Builder *builder, Scratch *scratch, const Query *query, int layer)
{
    Py_ssize_t next = 0;
    while (next < scratch->count && !scratch->broken) {
        Near *near = &scratch->near[next];
        if (near->row & FOLLOWED) {
            next++;
            continue;
        }
        uint32_t row = near->row;
        near->row |= FOLLOWED;
        if (next + 1 < scratch->count) {
            const uint32_t *list = list_of(builder, scratch->near[next + 1].row & ~FOLLOWED, layer);
            PREFETCH(list);
            PREFETCH(list + 16);
        }
        Py_ssize_t count = copied_list(builder, row, layer, scratch->links), fresh = 0;
        for (Py_ssize_t at = 0; at < count; at++)
            if (mark(scratch, scratch->links[at]))
                scratch->fresh[fresh++] = scratch->links[at];
        Py_ssize_t least = compare_rows(&builder->codes, scratch, query, builder->ef, scratch->fresh, fresh);
        next = least <= next ? least : next + 1;
    }
}

/* Chooses links among `count` rows by ascending score: those that are nearer to the query than to any row chosen so far. */
static Py_ssize_t
choose_links(const Builder *builder, Scratch *scratch, const Near *near, Py_ssize_t count, Py_ssize_t most,
             uint32_t *out)
{
    Py_ssize_t chosen = 0;
    Query other = {scratch->other, 0, 0};
    for (Py_ssize_t at = 0; at < count && chosen < most; at++) {
        uint32_t row = near[at].row & ~FOLLOWED;
        int good = 1;
        if (chosen)
            as_query(&builder->codes, builder->space, row, &other);
        for (Py_ssize_t each = 0; each < chosen && good; each++)
            good = score_of(&builder->codes, &other, out[each]) >= near[at].score;
        if (good)
            out[chosen++] = row;
    }
    return chosen;
}

static int
compare_near(const void *one, const void *other)
{
    const Near *first = one, *second = other;
    if (first->score != second->score)
        return first->score < second->score ? -1 : 1;
    return first->row > second->row ? -1 : first->row < second->row; /* the newest first, see link_row */
}

/* What inserting rows needs for itself, beside Scratch. */
typedef struct {
    Near *near;         /* a list of links with one more */
    uint32_t *chosen;   /* what is kept of it */
    uint32_t *lists;    /* the links of the inserted row, `neighbors` for each layer */
    Py_ssize_t *counts; /* how many they are */
} Room;

/* Adds a link from `row` to `target`. If the list is full, chooses the best of all. */
static void
link_back(Builder *builder, Scratch *scratch, uint32_t row, uint32_t target, int layer, Room *room)
{
    Py_ssize_t most = layer ? builder->neighbors : 2 * builder->neighbors;
    uint32_t *list = list_of(builder, row, layer);
    lock(&builder->locks[row]);
    uint32_t count = list[0];
    uint32_t same = 0; /* a row that is inserted again may have this link */
    while (same < count && list[same + 1] != target)
        same++;
    if (same < count) {
        unlock(&builder->locks[row]);
        return;
    }
    if (count < (uint32_t)most) {
        __atomic_store_n(&list[count + 1], target, __ATOMIC_RELAXED);
        __atomic_store_n(&list[0], count + 1, __ATOMIC_RELEASE);
    } else {
        Query query = {scratch->numbers, 0, 0}; /* the query of the inserted row is not needed any more */
        as_query(&builder->codes, builder->space, row, &query);
        for (uint32_t each = 0; each < count; each++) {
            if (each + AHEAD < count)
                prefetch_code(&builder->codes, list[each + 1 + AHEAD]);
            room->near[each] = (Near){score_of(&builder->codes, &query, list[each + 1]), list[each + 1]};
        }
        room->near[count] = (Near){score_of(&builder->codes, &query, target), target};
        qsort(room->near, count + 1, sizeof(Near), compare_near);
        Py_ssize_t kept = choose_links(builder, scratch, room->near, (Py_ssize_t)count + 1, most, room->chosen);
        for (Py_ssize_t each = 0; each < kept; each++)
            __atomic_store_n(&list[each + 1], room->chosen[each], __ATOMIC_RELAXED);
        __atomic_store_n(&list[0], (uint32_t)kept, __ATOMIC_RELEASE);
    }
    unlock(&builder->locks[row]);
}

/* Inserts a row into the layers from `top` down, beginning at `from`, the nearest row of the layer above.
 *
 * Other rows are linked to it last, and in the ground layer first. So a thread that finds the row in a layer finds its
 * lists there and below, and nobody else has written into them. Among equally near rows, the newest come first: with
 * the oldest, all copies of a vector would link to the same few, and those would lose their links to other vectors. */
static void
link_row(Builder *builder, Scratch *scratch, uint32_t row, uint32_t from, int top, Room *room)
{
    Query query = {scratch->numbers, 0, 0};
    as_query(&builder->codes, builder->space, row, &query);
    memset(room->counts, 0, sizeof *room->counts * (size_t)builder->layers);
    for (int layer = top; layer >= 0 && !scratch->broken; layer--) {
        scratch->count = 0;
        mark(scratch, from);
        mark(scratch, row);
        insert(scratch, builder->ef, score_of(&builder->codes, &query, from), from);
        build_walk(builder, scratch, &query, layer);
        unmark_all(scratch);
        if (!scratch->count)
            break; /* no number can be compared with */
        from = scratch->near[0].row & ~FOLLOWED;
        for (Py_ssize_t each = 0; each < scratch->count; each++)
            scratch->near[each].row &= ~FOLLOWED;
        qsort(scratch->near, (size_t)scratch->count, sizeof(Near), compare_near);
        uint32_t *mine = room->lists + layer * builder->neighbors, *list = list_of(builder, row, layer);
        Py_ssize_t count = choose_links(builder, scratch, scratch->near, scratch->count, builder->neighbors, mine);
        lock(&builder->locks[row]); /* if the row is inserted again, others may be linking it */
        for (Py_ssize_t each = 0; each < count; each++)
            __atomic_store_n(&list[each + 1], mine[each], __ATOMIC_RELAXED);
        __atomic_store_n(&list[0], (uint32_t)count, __ATOMIC_RELEASE);
        unlock(&builder->locks[row]);
        room->counts[layer] = count;
    }
    for (int layer = 0; layer <= top; layer++)
        for (Py_ssize_t each = 0; each < room->counts[layer]; each++)
            link_back(builder, scratch, room->lists[layer * builder->neighbors + each], row, layer, room);
}

/* Goes down from `at` in the layers above `bottom`, to the nearest row in each but `row` itself. */
static uint32_t
build_descend(const Builder *builder, Scratch *scratch, const Query *query, uint32_t row, uint32_t at, int top,
              int bottom)
{
    float best = score_of(&builder->codes, query, at);
    for (int layer = top; layer > bottom; layer--)
        for (int moved = 1; moved;) {
            moved = 0;
            Py_ssize_t count = copied_list(builder, at, layer, scratch->links);
            for (Py_ssize_t each = 0; each < count; each++)
                prefetch_code(&builder->codes, scratch->links[each]);
            for (Py_ssize_t each = 0; each < count; each++) {
                float score = score_of(&builder->codes, query, scratch->links[each]);
                if (score < best && scratch->links[each] != row) {
                    best = score;
                    at = scratch->links[each];
                    moved = 1;
                }
            }
        }
    return at;
}

/* A row that is linked already gets new links of its own, except where searches begin. */
static void
insert_row(Builder *builder, Scratch *scratch, uint32_t row, Room *room)
{
    int level = builder->levels[row];
    lock(&builder->entry_lock);
    int64_t entry = __atomic_load_n(&builder->entry, __ATOMIC_RELAXED);
    int top = entry < 0 ? 0 : builder->levels[entry];
    if (entry >= 0 && level <= top)
        unlock(&builder->entry_lock); /* else this row becomes the entry, and others wait for it */
    if (entry == (int64_t)row)
        return;
    if (entry >= 0) {
        Query query = {scratch->numbers, 0, 0};
        as_query(&builder->codes, builder->space, row, &query);
        uint32_t from = build_descend(builder, scratch, &query, row, (uint32_t)entry, top, level);
        link_row(builder, scratch, row, from, level < top ? level : top, room);
    }
    if (entry < 0 || level > top) {
        __atomic_store_n(&builder->entry, (int64_t)row, __ATOMIC_RELAXED);
        unlock(&builder->entry_lock);
    }
}

static void
free_room(Room *room)
{
    PyMem_RawFree(room->near);
    PyMem_RawFree(room->chosen);
    PyMem_RawFree(room->lists);
    PyMem_RawFree(room->counts);
}

/* Takes what a thread needs, while the interpreter's lock is held. `near`: rows that are compared at a time. */
static Scratch *
begin_work(Builder *builder, Room *room, Py_ssize_t near)
{
    Py_ssize_t longest = 2 * builder->neighbors + 2;
    Scratch *scratch = builder->scratch;
    if (scratch)
        builder->scratch = scratch->next;
    else
        scratch = new_scratch(builder->codes.rows, 1, builder->codes.dimension, longest);
    *room = (Room){
        PyMem_RawMalloc(sizeof(Near) * (size_t)longest),
        PyMem_RawMalloc(sizeof(uint32_t) * (size_t)longest),
        PyMem_RawMalloc(sizeof(uint32_t) * (size_t)builder->neighbors * (size_t)builder->layers),
        PyMem_RawMalloc(sizeof(Py_ssize_t) * (size_t)builder->layers),
    };
    if (!scratch || !room->near || !room->chosen || !room->lists || !room->counts || !has_room(scratch, near, 0)) {
        if (scratch)
            free_scratch(scratch);
        free_room(room);
        PyErr_NoMemory();
        return NULL;
    }
    scratch->broken = NOT_BROKEN;
    return scratch;
}

/* Gives it back. Returns -1 if something went wrong. */
static int
end_work(Builder *builder, Room *room, Scratch *scratch)
{
    int broken = scratch->broken;
    scratch->next = builder->scratch;
    builder->scratch = scratch;
    free_room(room);
    if (broken == DAMAGED)
        PyErr_SetString(damaged, "a link leads to a row that is not there, or not in its layer");
    else if (broken == OTHER_ROWS)
        PyErr_SetString(PyExc_ValueError, "a row is not there, or was in other layers");
    else if (broken)
        PyErr_NoMemory();
    return broken ? -1 : 0;
}

/* Reads row numbers, each less than `end`. */
static int
get_rows(PyObject *object, Py_buffer *out, Py_ssize_t end)
{
    if (get(object, out, "rows", 1, UINT32, 4, 0) < 0)
        return -1;
    const uint32_t *rows = out->buf;
    for (Py_ssize_t each = 0; each < out->shape[0]; each++)
        if (rows[each] >= (uint32_t)end) {
            PyErr_Format(PyExc_IndexError, "row %lu of %zd", (unsigned long)rows[each], end);
            PyBuffer_Release(out);
            return -1;
        }
    return 0;
}

PyDoc_STRVAR(insert_doc,
             "insert(rows): inserts these rows, uint32 (n,). Other threads may insert other rows at the same time. A row\n"
             "that is linked already gets new links.");

static PyObject *
builder_insert(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    Builder *builder = (Builder *)self;
    Py_buffer held;
    Room room;
    if (arguments("insert", given, 1) < 0 || get_rows(args[0], &held, builder->codes.rows) < 0)
        return NULL;
    Scratch *scratch = begin_work(builder, &room, builder->ef + 1);
    if (!scratch) {
        PyBuffer_Release(&held);
        return NULL;
    }
    const uint32_t *rows = held.buf;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t each = 0; each < held.shape[0] && !scratch->broken; each++)
        insert_row(builder, scratch, rows[each], &room);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&held);
    return end_work(builder, &room, scratch) < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- extending a graph ---------------------------------------------------------------------------------------- */

static const uint32_t GONE = UINT32_MAX; /* where a row that was removed is now */

/* The most removed rows whose links are followed in place of them, and the most rows that are found so. */
enum { MOST_GONE = 128, MOST_FOUND = 2048 };

static Py_ssize_t
old_links(const Graph *from, uint32_t row, int layer, uint32_t *out)
{
    Py_ssize_t count = layer ? upper_links_of(from, row, layer, out) : links_of(from, row, out);
    for (Py_ssize_t each = 0; layer && each < count; each++)
        if (from->levels[out[each]] < layer)
            return -1;
    return count;
}

/* Where the row `old` of another graph is now. */
static inline uint32_t
now_at(const Builder *builder, const Graph *from, Scratch *scratch, const uint32_t *now, uint32_t old)
{
    uint32_t row = now[old];
    if (row == GONE || (row < (uint32_t)builder->codes.rows && builder->levels[row] == from->levels[old]))
        return row;
    scratch->broken = OTHER_ROWS;
    return GONE;
}

/* Fills the list of `row` from that of the row `old` of another graph. Links to removed rows are replaced by links to
 * rows near them: those that the removed rows had links to, and that `choose_links` would choose beside the others, be
 * they more than were removed. With as many as were removed at most, the lists grow shorter with each extension. */
static void
adopt_list(Builder *builder, const Graph *from, Scratch *scratch, const uint32_t *now, uint32_t old, uint32_t row,
           int layer)
{
    uint32_t gone[MOST_GONE], *list = list_of(builder, row, layer);
    Py_ssize_t count = old_links(from, old, layer, scratch->links), kept = 0, found = 0;
    Py_ssize_t most = layer ? builder->neighbors : 2 * builder->neighbors;
    int gones = 0;
    for (Py_ssize_t each = 0; each < count; each++) {
        uint32_t target = now_at(builder, from, scratch, now, scratch->links[each]);
        if (target != GONE && target != row)
            list[++kept] = target;
        else if (target == GONE && gones < MOST_GONE)
            gone[gones++] = scratch->links[each];
    }
    list[0] = (uint32_t)kept;
    if (count < 0)
        scratch->broken = DAMAGED;
    if (!gones)
        return;
    mark(scratch, row);
    for (Py_ssize_t each = 1; each <= kept; each++)
        mark(scratch, list[each]);
    Query query = {scratch->numbers, 0, 0}, other = {scratch->other, 0, 0};
    as_query(&builder->codes, builder->space, row, &query);
    for (int at = 0; at < gones; at++) {
        Py_ssize_t further = old_links(from, gone[at], layer, scratch->second);
        if (further < 0)
            scratch->broken = DAMAGED;
        for (Py_ssize_t each = 0; each < further && found < MOST_FOUND; each++) {
            uint32_t target = now_at(builder, from, scratch, now, scratch->second[each]);
            if (target != GONE && mark(scratch, target))
                scratch->near[found++] = (Near){score_of(&builder->codes, &query, target), target};
            else if (target == GONE && kept + found < count && gones < MOST_GONE) {
                int same = 0;
                while (same < gones && gone[same] != scratch->second[each])
                    same++;
                if (same == gones)
                    gone[gones++] = scratch->second[each];
            }
        }
    }
    unmark_all(scratch);
    qsort(scratch->near, (size_t)found, sizeof(Near), compare_near);
    for (Py_ssize_t at = 0; at < found && kept < most; at++) {
        int good = scratch->near[at].score <= FLT_MAX;
        as_query(&builder->codes, builder->space, scratch->near[at].row, &other);
        for (Py_ssize_t each = 1; each <= kept && good; each++)
            good = score_of(&builder->codes, &other, list[each]) >= scratch->near[at].score;
        if (good)
            list[++kept] = scratch->near[at].row;
    }
    list[0] = (uint32_t)kept;
}

static void
adopt_row(Builder *builder, const Graph *from, Scratch *scratch, const uint32_t *now, uint32_t old)
{
    uint32_t row = now_at(builder, from, scratch, now, old);
    for (int layer = 0; row != GONE && layer <= from->levels[old] && !scratch->broken; layer++)
        adopt_list(builder, from, scratch, now, old, row, layer);
}

PyDoc_STRVAR(adopt_doc,
             "adopt(graph, rows, start, stop): fills the lists of the rows that the rows from `start` to `stop` of another\n"
             "graph are now: rows, uint32 (n,), has that for each of its rows; 2**32 - 1: it was removed. The graph has as\n"
             "many neighbors, and its rows are in as many layers. Other threads may adopt other rows at the same time.\n"
             "Raises Damaged if a link leads nowhere.");

static PyObject *
builder_adopt(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    Builder *builder = (Builder *)self;
    Py_buffer held;
    Room room;
    if (arguments("adopt", given, 4) < 0)
        return NULL;
    if (PyType_GetSlot(Py_TYPE(args[0]), Py_tp_dealloc) != (void *)graph_dealloc) {
        PyErr_SetString(PyExc_TypeError, "adopt takes a Graph");
        return NULL;
    }
    const Graph *from = (const Graph *)args[0];
    Py_ssize_t start = PyLong_AsSsize_t(args[2]), stop = PyLong_AsSsize_t(args[3]);
    if (PyErr_Occurred() || get(args[1], &held, "rows", 1, UINT32, 4, 0) < 0)
        return NULL;
    const uint32_t *now = held.buf;
    Scratch *scratch = NULL;
    if (start < 0 || stop > from->codes.rows || held.shape[0] != from->codes.rows ||
        from->neighbors != builder->neighbors || from->space != builder->space)
        PyErr_SetString(PyExc_ValueError, "the graph, or its rows, are not like this one");
    else
        scratch = begin_work(builder, &room, MOST_FOUND > builder->ef ? MOST_FOUND : builder->ef + 1);
    if (!scratch) {
        PyBuffer_Release(&held);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t old = start; old < stop && !scratch->broken; old++)
        adopt_row(builder, from, scratch, now, (uint32_t)old);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&held);
    return end_work(builder, &room, scratch) < 0 ? NULL : Py_NewRef(Py_None);
}

static const uint32_t NOT_REACHED = UINT32_MAX;

/* Notes for each row to which a way leads through `row`, and that is not reached yet, the row that links it there. So
 * the notes are a tree: a link that is not in it can be removed, and a way still leads to every row. `stack` has room
 * for all rows. */
static void
reach(const Builder *builder, uint32_t row, uint32_t from, uint32_t *reached, uint32_t *stack)
{
    Py_ssize_t waiting = 0;
    reached[row] = from;
    stack[waiting++] = row;
    while (waiting) {
        uint32_t at = stack[--waiting];
        const uint32_t *list = list_of(builder, at, 0);
        for (uint32_t each = 1; each <= list[0]; each++)
            if (reached[list[each]] == NOT_REACHED) {
                reached[list[each]] = at;
                stack[waiting++] = list[each];
            }
    }
}

/* Returns the farthest link of a row that is not in the tree of `reach`, by its index in the list; 0: there is none. */
static uint32_t
spare_link(Builder *builder, Scratch *scratch, uint32_t row, const uint32_t *reached)
{
    const uint32_t *list = list_of(builder, row, 0);
    Query query = {scratch->other, 0, 0};
    uint32_t found = 0;
    float worst = 0;
    as_query(&builder->codes, builder->space, row, &query);
    for (uint32_t each = 1; each <= list[0]; each++) {
        float score = score_of(&builder->codes, &query, list[each]);
        if (reached[list[each]] != row && (!found || score > worst)) {
            found = each;
            worst = score;
        }
    }
    return found;
}

/* Links a row to which no way leads from the nearest row that has room for another link, or else from the nearest one
 * that can spare a link. */
static void
attach_row(Builder *builder, Scratch *scratch, uint32_t row, uint32_t *reached, uint32_t *stack)
{
    Query query = {scratch->numbers, 0, 0};
    as_query(&builder->codes, builder->space, row, &query);
    uint32_t entry = (uint32_t)builder->entry;
    uint32_t from = build_descend(builder, scratch, &query, row, entry, builder->levels[entry], 0);
    scratch->count = 0;
    mark(scratch, row);
    mark(scratch, from);
    insert(scratch, builder->ef, score_of(&builder->codes, &query, from), from);
    if (mark(scratch, entry)) /* from where a way leads to every marked row */
        insert(scratch, builder->ef, score_of(&builder->codes, &query, entry), entry);
    build_walk(builder, scratch, &query, 0);
    unmark_all(scratch);
    for (int spared = 0; spared < 2; spared++)
        for (Py_ssize_t each = 0; each < scratch->count; each++) {
            uint32_t near = scratch->near[each].row & ~FOLLOWED, *list = list_of(builder, near, 0), at = 0;
            if (reached[near] == NOT_REACHED)
                continue;
            if (spared)
                at = spare_link(builder, scratch, near, reached);
            else if (list[0] < (uint32_t)(2 * builder->neighbors))
                at = ++list[0];
            if (at) {
                list[at] = row;
                reach(builder, row, near, reached, stack);
                return;
            }
        }
}

PyDoc_STRVAR(connect_doc,
             "connect(rows, reached): looks for a way from the entry to each of these rows, uint32 (n,), in the ground\n"
             "layer, and gives those that have none a link. reached, uint32 (all rows,), has for each the row before it\n"
             "on such a way; 2**32 - 1: there is none, also for rows that no other has room for. It is filled first if\n"
             "it has only that. No other thread may use the graph.");

static PyObject *
builder_connect(PyObject *self, PyObject *const *args, Py_ssize_t given)
{
    Builder *builder = (Builder *)self;
    Py_buffer held, reached;
    PyObject *done = NULL;
    Room room;
    if (arguments("connect", given, 2) < 0 || get_rows(args[0], &held, builder->codes.rows) < 0)
        return NULL;
    if (get(args[1], &reached, "reached", 1, UINT32, 4, 1) < 0)
        goto rows_held;
    if (counted("reached", reached.shape[0], builder->codes.rows) < 0)
        goto all_held;
    if (builder->entry < 0) {
        PyErr_SetString(PyExc_ValueError, "there are no rows yet");
        goto all_held;
    }
    uint32_t *stack = PyMem_RawMalloc(sizeof *stack * (size_t)builder->codes.rows);
    Scratch *scratch = stack ? begin_work(builder, &room, builder->ef + 1) : (Scratch *)PyErr_NoMemory();
    if (scratch) {
        const uint32_t *rows = held.buf;
        uint32_t *before = reached.buf, entry = (uint32_t)builder->entry;
        Py_BEGIN_ALLOW_THREADS
        if (before[entry] == NOT_REACHED)
            reach(builder, entry, entry, before, stack);
        for (Py_ssize_t each = 0; each < held.shape[0] && !scratch->broken; each++)
            if (before[rows[each]] == NOT_REACHED)
                attach_row(builder, scratch, rows[each], before, stack);
        Py_END_ALLOW_THREADS
        done = end_work(builder, &room, scratch) < 0 ? NULL : Py_NewRef(Py_None);
    }
    PyMem_RawFree(stack);
all_held:
    PyBuffer_Release(&reached);
rows_held:
    PyBuffer_Release(&held);
    return done;
}

static PyObject *
builder_entry(PyObject *self, void *closure)
{
    return PyLong_FromLongLong(((Builder *)self)->entry);
}

static void
builder_dealloc(PyObject *self)
{
    Builder *builder = (Builder *)self;
    PyTypeObject *type = Py_TYPE(self);
    while (builder->scratch) {
        Scratch *next = builder->scratch->next;
        free_scratch(builder->scratch);
        builder->scratch = next;
    }
    for (int each = 0; each < BUILDER_BUFFERS; each++)
        if (builder->holds[each])
            PyBuffer_Release(&builder->held[each]);
    PyMem_RawFree(builder->lists);
    PyMem_RawFree(builder->locks);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(builder_doc,
             "Builder(space, codes, ground, levels, upper, dimension, neighbors, ef, entry)\n\n"
             "Builds a graph of codes, uint8 (rows, bytes of a code). Fills `ground`, uint32 (rows, 1 + 2 * neighbors), and\n"
             "`upper`, uint32 (the sum of levels, 1 + neighbors): the number of links, then their targets. Both are 0 at\n"
             "first. levels: uint8 (rows,), how many upper layers each row is in. entry: -1, or, where some rows are\n"
             "linked already, the first row of the uppermost layer. The attribute `entry` is where searches begin.");

static PyObject *
builder_new(PyTypeObject *type, PyObject *args, PyObject *kwds)
{
    PyObject *space, *codes, *ground, *levels, *upper;
    Py_ssize_t dimension, neighbors, ef, entry;
    if (!PyArg_ParseTuple(args, "OOOOOnnnn:Builder", &space, &codes, &ground, &levels, &upper, &dimension, &neighbors,
                          &ef, &entry))
        return NULL;
    allocfunc make = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Builder *builder = (Builder *)make(type, 0);
    if (!builder)
        return NULL;
    static const char *const names[] = {"codes", "ground", "levels", "upper"};
    PyObject *const objects[] = {codes, ground, levels, upper};
    for (int each = 0; each < BUILDER_BUFFERS; each++) {
        int wide = each == GROUND || each == BUILT_UPPER;
        if (get(objects[each], &builder->held[each], names[each], each == BUILT_LEVELS ? 1 : 2, wide ? UINT32 : UINT8,
                wide ? 4 : 1, wide) < 0)
            goto failed;
        builder->holds[each] = 1;
    }
    Py_ssize_t rows = builder->held[BUILT_CODES].shape[0];
    if (read_space(space, &builder->space) < 0)
        goto failed;
    if (rows < 1 || (uint64_t)rows >= FOLLOWED || dimension < 1 || dimension > 1 << 20 || neighbors < 1 || neighbors > 10000 ||
        ef < 1 || ef > 1 << 30 || entry < -1 || entry >= rows) {
        PyErr_SetString(PyExc_ValueError, "rows, dimension, neighbors, ef or entry are out of range");
        goto failed;
    }
    builder->codes = (Codes){builder->held[BUILT_CODES].buf, rows, dimension, code_bytes(dimension), padded(dimension)};
    builder->neighbors = neighbors;
    builder->ef = ef;
    builder->ground = builder->held[GROUND].buf;
    builder->levels = builder->held[BUILT_LEVELS].buf;
    builder->upper = builder->held[BUILT_UPPER].buf;
    builder->entry = entry;
    builder->lists = PyMem_RawMalloc(sizeof(uint32_t) * (size_t)rows);
    builder->locks = PyMem_RawCalloc((size_t)rows, 1);
    if (!builder->lists || !builder->locks) {
        PyErr_NoMemory();
        goto failed;
    }
    uint64_t total = 0;
    for (Py_ssize_t row = 0; row < rows; row++) {
        builder->lists[row] = (uint32_t)total;
        total += builder->levels[row];
        builder->layers = builder->levels[row] >= builder->layers ? builder->levels[row] + 1 : builder->layers;
    }
    if (counted("a code", builder->held[BUILT_CODES].shape[1], builder->codes.size) < 0 ||
        counted("ground", builder->held[GROUND].shape[0], rows) < 0 ||
        counted("a list of ground", builder->held[GROUND].shape[1], 2 * neighbors + 1) < 0 ||
        counted("levels", builder->held[BUILT_LEVELS].shape[0], rows) < 0 ||
        counted("upper", builder->held[BUILT_UPPER].shape[0], (Py_ssize_t)total) < 0 ||
        counted("a list of upper", builder->held[BUILT_UPPER].shape[1], neighbors + 1) < 0)
        goto failed;
    return (PyObject *)builder;
failed:
    Py_DECREF(builder);
    return NULL;
}

static PyMethodDef builder_methods[] = {
    {"insert", (PyCFunction)(void (*)(void))builder_insert, METH_FASTCALL, insert_doc},
    {"adopt", (PyCFunction)(void (*)(void))builder_adopt, METH_FASTCALL, adopt_doc},
    {"connect", (PyCFunction)(void (*)(void))builder_connect, METH_FASTCALL, connect_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef builder_attributes[] = {
    {"entry", builder_entry, NULL, "The row at which searches begin; -1 before any row is inserted.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot builder_slots[] = {
    {Py_tp_new, builder_new},
    {Py_tp_dealloc, builder_dealloc},
    {Py_tp_methods, builder_methods},
    {Py_tp_getset, builder_attributes},
    {Py_tp_doc, (void *)builder_doc},
    {0, NULL},
};

static PyType_Spec builder_spec = {"chroma.storage.native._graph.Builder", sizeof(Builder), 0, Py_TPFLAGS_DEFAULT,
                                   builder_slots};

/* ---- the module ------------------------------------------------------------------------------------------------ */

PyDoc_STRVAR(code_bytes_doc, "code_bytes(dimension): the bytes of the code of a vector of this dimension.");

static PyObject *
module_code_bytes(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    if (arguments("code_bytes", given, 1) < 0)
        return NULL;
    Py_ssize_t dimension = PyLong_AsSsize_t(args[0]);
    if (PyErr_Occurred())
        return NULL;
    return PyLong_FromSsize_t(code_bytes(dimension));
}

PyDoc_STRVAR(encode_doc,
             "encode(space, vectors, out): fills the codes, uint8 (n, code_bytes(dimension)), of vectors, float32\n"
             "(n, dimension), which are as they are to be compared: of length one with cosine, and projected.");

static PyObject *
encode(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Py_buffer vectors, out;
    Space space;
    PyObject *done = NULL;
    if (arguments("encode", given, 3) < 0 || read_space(args[0], &space) < 0 ||
        get(args[1], &vectors, "vectors", 2, FLOAT, 4, 0) < 0)
        return NULL;
    if (get(args[2], &out, "out", 2, UINT8, 1, 1) < 0)
        goto vectors_held;
    Py_ssize_t rows = vectors.shape[0], dimension = vectors.shape[1], size = code_bytes(dimension);
    if (counted("out", out.shape[0], rows) == 0 && counted("a code", out.shape[1], size) == 0) {
        if ((uintptr_t)out.buf % 4)
            PyErr_SetString(PyExc_ValueError, "out is not aligned");
        else {
            Py_BEGIN_ALLOW_THREADS
            for (Py_ssize_t row = 0; row < rows; row++)
                encode_row(space, (const float *)vectors.buf + row * dimension, dimension,
                           (Code *)((char *)out.buf + row * size));
            Py_END_ALLOW_THREADS
            done = Py_NewRef(Py_None);
        }
    }
    PyBuffer_Release(&out);
vectors_held:
    PyBuffer_Release(&vectors);
    return done;
}

PyDoc_STRVAR(sums_doc,
             "sums(vectors, block_rows, out): the XXH64 of each block of so many vectors, float32 (n, dimension), into\n"
             "`out`, uint64 (blocks,).");

static PyObject *
sums(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Py_buffer vectors, out;
    PyObject *done = NULL;
    if (arguments("sums", given, 3) < 0)
        return NULL;
    Py_ssize_t block_rows = PyLong_AsSsize_t(args[1]);
    if (block_rows < 1) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "block_rows is less than 1");
        return NULL;
    }
    if (get(args[0], &vectors, "vectors", 2, FLOAT, 4, 0) < 0)
        return NULL;
    if (get(args[2], &out, "out", 1, UINT64, 8, 1) < 0)
        goto vectors_held;
    Py_ssize_t rows = vectors.shape[0], blocks = rows / block_rows + (rows % block_rows > 0);
    if (counted("out", out.shape[0], blocks) == 0) {
        Vectors all = {COSINE, rows, vectors.shape[1], vectors.buf};
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t block = 0; block < blocks; block++)
            ((uint64_t *)out.buf)[block] = sum_of(&all, block, block_rows);
        Py_END_ALLOW_THREADS
        done = Py_NewRef(Py_None);
    }
    PyBuffer_Release(&out);
vectors_held:
    PyBuffer_Release(&vectors);
    return done;
}

static PyMethodDef methods[] = {
    {"code_bytes", (PyCFunction)(void (*)(void))module_code_bytes, METH_FASTCALL, code_bytes_doc},
    {"encode", (PyCFunction)(void (*)(void))encode, METH_FASTCALL, encode_doc},
    {"sums", (PyCFunction)(void (*)(void))sums, METH_FASTCALL, sums_doc},
    {NULL, NULL, 0, NULL},
};

static int
fill(PyObject *module)
{
    choose_dot();
    if (share_taken() < 0)
        return -1;
    PyObject *graph = PyType_FromSpec(&graph_spec), *builder = PyType_FromSpec(&builder_spec);
    if (!damaged)
        damaged = PyErr_NewException("chroma.storage.native._graph.Damaged", NULL, NULL);
    int right = graph && builder && damaged && PyModule_AddObjectRef(module, "Damaged", damaged) == 0 &&
                PyModule_AddObjectRef(module, "Graph", graph) == 0 &&
                PyModule_AddObjectRef(module, "Builder", builder) == 0 &&
                PyModule_AddIntConstant(module, "VERSION", 5) == 0;
    Py_XDECREF(graph);
    Py_XDECREF(builder);
    return right ? 0 : -1;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)fill}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_graph", .m_doc = "See storage/index/graph.py.", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__graph(void)
{
    return PyModuleDef_Init(&definition);
}
