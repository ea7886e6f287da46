/* A regular expression as an automaton over bytes, for _text.c: which documents does it match?
 *
 * A program (filters/regex_program.py) is a nondeterministic automaton. Its sets of instructions become the states of a
 * deterministic one when they are first reached. A document's first match is enough, so there is nothing to choose
 * between matches. The state at a byte depends on the state before, so several documents are read in turn: the
 * processor then works on one while it waits for the table of another.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { OP_BYTE, OP_SPLIT, OP_ASSERT, OP_MATCH };
enum { AT_BEGIN, AT_END, AT_LINE_BEGIN, AT_LINE_END, AT_WORD, AT_NO_WORD, PLACES };
enum { KIND_EDGE, KIND_NEWLINE, KIND_WORD, KIND_OTHER }; /* what is before or behind a place */
enum { UNKNOWN, DEAD, ACCEPT, FIRST_STATE };
enum { LINE_OF_TABLE = 256, LANES = 4, MOST_OPS = 1 << 16, MOST_STATES = 2048, MOST_STEPS = 1 << 15, BUCKETS = 8192 };

typedef struct {
    int32_t kind, first, second, third;
} Op;

/* In an entry of the table. One test then tells whether all of some states go on. */
enum { GOES_ON = LINE_OF_TABLE * MOST_STATES };

typedef struct {
    const Op *ops;
    int32_t count, start;
    int asserts;          /* whether there is an assertion */
    unsigned char class_of[256];
    int representative[257]; /* a byte of each class; -1: the end of the text */
    int classes;          /* without that of the end */
    size_t words;         /* of 64 instructions */
    uint32_t *table;      /* of each state: the state behind each byte, times LINE_OF_TABLE, so that it is the place of
                           * the next line; and GOES_ON, if it is not one of the first states */
    uint32_t *at_end;     /* of each state: the state at the end of the text */
    uint64_t *sets;       /* the instructions of each state */
    unsigned char *before; /* of each state: the kind of the last byte */
    uint32_t states, room;
    uint32_t buckets[BUCKETS];
    uint64_t *current, *next, *seen; /* three sets to work on */
    int32_t *stack;
    int steps;            /* entries of the table that were computed */
    int failed;           /* no memory, too many states, or too many steps */
} Automaton;

static int
valid_program(const Op *ops, Py_ssize_t count, Py_ssize_t start)
{
    if (count < 1 || count > MOST_OPS || start < 0 || start >= count)
        return 0;
    for (Py_ssize_t at = 0; at < count; at++) {
        const Op *op = &ops[at];
        int32_t target = 0, other = 0;
        if (op->kind == OP_BYTE) {
            if (op->first < 0 || op->first > 255 || op->second < 0 || op->second > 255)
                return 0;
            target = op->third;
        } else if (op->kind == OP_SPLIT) {
            target = op->first;
            other = op->second;
        } else if (op->kind == OP_ASSERT) {
            if (op->first < 0 || op->first >= PLACES)
                return 0;
            target = op->second;
        } else if (op->kind != OP_MATCH) {
            return 0;
        }
        if (target < 0 || target >= count || other < 0 || other >= count)
            return 0;
    }
    return 1;
}

static int
kind_of(int byte)
{
    if (byte < 0)
        return KIND_EDGE;
    if (byte == '\n')
        return KIND_NEWLINE;
    int word = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || byte == '_' || (byte >= 'a' && byte <= 'z');
    return word ? KIND_WORD : KIND_OTHER;
}

static int
holds(int place, int before, int behind)
{
    switch (place) {
    case AT_BEGIN:
        return before == KIND_EDGE;
    case AT_END:
        return behind == KIND_EDGE;
    case AT_LINE_BEGIN:
        return before == KIND_EDGE || before == KIND_NEWLINE;
    case AT_LINE_END:
        return behind == KIND_EDGE || behind == KIND_NEWLINE;
    case AT_WORD:
        return (before == KIND_WORD) != (behind == KIND_WORD);
    default:
        return (before == KIND_WORD) == (behind == KIND_WORD);
    }
}

static inline int
put(uint64_t *set, int32_t at)
{
    uint64_t bit = UINT64_C(1) << (at & 63);
    if (set[at >> 6] & bit)
        return 0;
    set[at >> 6] |= bit;
    return 1;
}

/* Add an instruction and all that are reached from it without a byte. An assertion is followed only if it is known
 * what is before and behind the place (`behind` >= 0); otherwise it waits in the set, unless it can hold no more.
 * Each instruction is put on the stack at most once, because `seen` has it then. Returns whether the text matches. */
static int
add_reached(Automaton *self, uint64_t *set, int32_t at, int before, int behind)
{
    int32_t depth = 0;
    int match = 0;
    if (!put(self->seen, at))
        return 0;
    self->stack[depth++] = at;
    while (depth > 0) {
        at = self->stack[--depth];
        const Op *op = &self->ops[at];
        int32_t targets[2];
        int count = 0;
        if (op->kind == OP_SPLIT) {
            targets[count++] = op->first;
            targets[count++] = op->second;
        } else if (op->kind == OP_ASSERT) {
            if (behind >= 0) {
                if (holds(op->first, before, behind))
                    targets[count++] = op->second;
            } else if (op->first != AT_BEGIN || before == KIND_EDGE) {
                put(set, at);
            }
        } else {
            put(set, at);
            match |= op->kind == OP_MATCH;
        }
        while (count > 0) {
            if (put(self->seen, targets[--count]))
                self->stack[depth++] = targets[count];
        }
    }
    return match;
}

/* The classes of bytes that the program does not distinguish. */
static void
classify(Automaton *self)
{
    unsigned char edge[257] = {0};
    for (int32_t at = 0; at < self->count; at++) {
        const Op *op = &self->ops[at];
        if (op->kind == OP_BYTE) {
            edge[op->first] = 1;
            edge[op->second + 1] = 1;
        }
        self->asserts |= op->kind == OP_ASSERT;
    }
    if (self->asserts) {
        for (int byte = 1; byte < 256; byte++)
            edge[byte] |= kind_of(byte) != kind_of(byte - 1);
    }
    int class = 0;
    self->representative[0] = 0;
    for (int byte = 0; byte < 256; byte++) {
        if (byte > 0 && edge[byte])
            self->representative[++class] = byte;
        self->class_of[byte] = (unsigned char)class;
    }
    self->classes = class + 1;
    self->representative[self->classes] = -1;
}

/* The number of the state with the instructions in `next`. */
static uint32_t
state_of(Automaton *self, int before)
{
    size_t bytes = self->words * sizeof *self->next;
    uint64_t hash = (uint64_t)before;
    for (size_t word = 0; word < self->words; word++)
        hash = (hash ^ self->next[word]) * UINT64_C(0x9E3779B97F4A7C15), hash ^= hash >> 29;
    uint32_t bucket = (uint32_t)hash % BUCKETS;
    for (; self->buckets[bucket]; bucket = (bucket + 1) % BUCKETS) {
        uint32_t known = self->buckets[bucket];
        if (self->before[known] == before && memcmp(self->sets + known * self->words, self->next, bytes) == 0)
            return known;
    }
    if (self->states == MOST_STATES) {
        self->failed = 1;
        return DEAD;
    }
    if (self->states == self->room) {
        uint32_t room = self->room * 2;
        void *table = realloc(self->table, (size_t)room * LINE_OF_TABLE * sizeof *self->table);
        if (table)
            self->table = table;
        void *at_end = realloc(self->at_end, room * sizeof *self->at_end);
        if (at_end)
            self->at_end = at_end;
        void *sets = realloc(self->sets, room * bytes);
        if (sets)
            self->sets = sets;
        void *before_all = realloc(self->before, room);
        if (before_all)
            self->before = before_all;
        if (!table || !at_end || !sets || !before_all) {
            self->failed = 1;
            return DEAD;
        }
        self->room = room;
    }
    uint32_t state = self->states++;
    self->buckets[bucket] = state;
    self->before[state] = (unsigned char)before;
    memcpy(self->sets + state * self->words, self->next, bytes);
    memset(self->table + (size_t)state * LINE_OF_TABLE, 0, sizeof *self->table * LINE_OF_TABLE); /* UNKNOWN */
    self->at_end[state] = UNKNOWN;
    return state;
}

/* Where the state goes with a byte of this class, or at the end of the text. It is written into the table. */
static uint32_t
step(Automaton *self, uint32_t state, int class)
{
    size_t bytes = self->words * sizeof *self->next;
    int byte = self->representative[class], before = self->before[state], match = 0, any = 0;
    uint32_t target = DEAD;
    if (++self->steps > MOST_STEPS) {
        self->failed = 1;
        return DEAD;
    }
    memcpy(self->current, self->sets + state * self->words, bytes);
    if (self->asserts) {
        memset(self->seen, 0, bytes);
        for (int32_t at = 0; at < self->count; at++) {
            if (self->ops[at].kind == OP_ASSERT && self->sets[state * self->words + (at >> 6)] >> (at & 63) & 1)
                match |= add_reached(self, self->current, at, before, kind_of(byte));
        }
    }
    if (match) {
        target = ACCEPT;
    } else if (byte >= 0) {
        int now = self->asserts ? kind_of(byte) : KIND_OTHER;
        memset(self->seen, 0, bytes);
        memset(self->next, 0, bytes);
        for (size_t word = 0; word < self->words; word++) {
            for (uint64_t rest = self->current[word]; rest; rest &= rest - 1) {
                int32_t at = (int32_t)(word * 64) + lowest(rest);
                const Op *op = &self->ops[at];
                if (op->kind == OP_BYTE && op->first <= byte && byte <= op->second)
                    match |= add_reached(self, self->next, op->third, now, -1);
            }
        }
        match |= add_reached(self, self->next, self->start, now, -1);
        for (size_t word = 0; word < self->words; word++)
            any |= self->next[word] != 0;
        target = DEAD;
        if (match)
            target = ACCEPT;
        else if (any)
            target = state_of(self, now);
    }
    if (byte < 0) {
        self->at_end[state] = target;
        return target;
    }
    for (; byte < 256 && self->class_of[byte] == class; byte++)
        self->table[(size_t)state * LINE_OF_TABLE + (size_t)byte] =
            target * LINE_OF_TABLE + (target < FIRST_STATE ? 0 : GOES_ON);
    return target;
}

static void
release_automaton(Automaton *self)
{
    free(self->table);
    free(self->at_end);
    free(self->sets);
    free(self->before);
    free(self->current);
    free(self->stack);
}

/* Returns the first state; DEAD if nothing matches, ACCEPT if everything does. `failed` is set without memory. */
static uint32_t
prepare(Automaton *self, const Op *ops, int32_t count, int32_t start)
{
    memset(self, 0, sizeof *self);
    self->ops = ops;
    self->count = count;
    self->start = start;
    classify(self);
    self->words = ((size_t)count + 63) / 64;
    self->room = 16;
    self->states = FIRST_STATE;
    self->table = malloc((size_t)self->room * LINE_OF_TABLE * sizeof *self->table);
    self->at_end = malloc(self->room * sizeof *self->at_end);
    self->sets = malloc(self->room * self->words * sizeof *self->sets);
    self->before = malloc(self->room);
    self->current = calloc(3 * self->words, sizeof *self->current);
    self->stack = malloc((size_t)count * sizeof *self->stack);
    if (!self->table || !self->at_end || !self->sets || !self->before || !self->current || !self->stack) {
        self->failed = 1;
        return DEAD;
    }
    self->next = self->current + self->words;
    self->seen = self->next + self->words;
    if (add_reached(self, self->next, start, KIND_EDGE, -1))
        return ACCEPT;
    int any = 0;
    for (size_t word = 0; word < self->words; word++)
        any |= self->next[word] != 0;
    return any ? state_of(self, self->asserts ? KIND_EDGE : KIND_OTHER) : DEAD;
}

/* Whether the documents match whose bytes these are. */
typedef struct {
    const unsigned char *at[LANES], *end[LANES];
    uint32_t state[LANES];
    Py_ssize_t row[LANES];
} Reading;

/* The state that the table has behind a byte. */
static inline uint32_t
entry(const Automaton *self, uint32_t state, unsigned char byte)
{
    return self->table[(size_t)state * LINE_OF_TABLE + byte] % GOES_ON / LINE_OF_TABLE;
}

/* The state behind the next byte, or at the end of the text. */
static inline uint32_t
behind(Automaton *self, uint32_t state, const unsigned char *at, const unsigned char *end)
{
    if (at == end)
        return self->at_end[state] == UNKNOWN ? step(self, state, self->classes) : self->at_end[state];
    uint32_t target = entry(self, state, *at);
    return target == UNKNOWN ? step(self, state, self->class_of[*at]) : target;
}

/* Go on with one document until it is decided. Returns DEAD or ACCEPT. */
static uint32_t
finish(Automaton *self, const unsigned char *at, const unsigned char *end, uint32_t state)
{
    for (;;) {
        uint32_t target = behind(self, state, at, end);
        if (target < FIRST_STATE)
            return target;
        if (at == end)
            return DEAD;
        state = target;
        at++;
    }
}

/* Read all documents in step, up to the end of one or up to one that needs a look. Returns whether one does. */
static inline int
in_step(const Automaton *self, Reading *now)
{
    const uint32_t *const table = self->table;
    const unsigned char *at[LANES];
    uint32_t state[LANES], then[LANES];
    Py_ssize_t room = now->end[0] - now->at[0], done = 0;
    for (int lane = 0; lane < LANES; lane++) {
        if (now->end[lane] - now->at[lane] < room)
            room = now->end[lane] - now->at[lane];
        at[lane] = now->at[lane];
        state[lane] = now->state[lane] * LINE_OF_TABLE + GOES_ON;
    }
#define GO(lane) then[lane] = table[(size_t)state[lane] - GOES_ON + at[lane][done]]
#define KEEP(lane) state[lane] = then[lane]
    for (; done < room; done++) {
        GO(0); GO(1); GO(2); GO(3);
        if (!(then[0] & then[1] & then[2] & then[3] & GOES_ON))
            break;
        KEEP(0); KEEP(1); KEEP(2); KEEP(3);
    }
    for (int lane = 0; lane < LANES; lane++) {
        now->state[lane] = (state[lane] - GOES_ON) / LINE_OF_TABLE;
        now->at[lane] += done;
    }
    return done < room;
}

typedef struct {
    const void *offsets;
    int wide; /* whether the offsets have 64 bits */
    const unsigned char *data;
    Py_ssize_t size;
    const int64_t *rows; /* those that are read, or NULL: all from `row` to before `stop` */
    Py_ssize_t count;    /* of documents */
    Py_ssize_t row, stop; /* the next one to read, and where to stop, in `rows` or in the documents */
    unsigned char *out;
} Texts;

/* Take the next document. Returns 0 if there is none, -1 if it does not lie within the bytes. */
static int
take_next(Texts *texts, Reading *now, int lane, uint32_t start)
{
    if (texts->row >= texts->stop)
        return 0;
    Py_ssize_t row = texts->rows ? (Py_ssize_t)texts->rows[texts->row] : texts->row;
    if (row < 0 || row >= texts->count)
        return -1;
    int64_t begin, end;
    if (texts->wide) {
        begin = ((const int64_t *)texts->offsets)[row];
        end = ((const int64_t *)texts->offsets)[row + 1];
    } else {
        begin = ((const int32_t *)texts->offsets)[row];
        end = ((const int32_t *)texts->offsets)[row + 1];
    }
    if (begin < 0 || begin > end || end > texts->size)
        return -1;
    now->at[lane] = texts->data + begin;
    now->end[lane] = texts->data + end;
    now->state[lane] = start;
    now->row[lane] = texts->row++;
    return 1;
}

/* Set out[row] for each document that matches; with `rows`, out[n] for the n-th of them. Returns 0, or -1 if a document
 * does not lie within the bytes. */
static int
read_texts(Automaton *self, Texts *texts, uint32_t start)
{
    Reading now;
    int lanes = 0, taken = 1;
    while (lanes < LANES && (taken = take_next(texts, &now, lanes, start)) > 0)
        lanes++;
    if (taken < 0)
        return -1;
    while (lanes == LANES) {
        int look = in_step(self, &now);
        for (int lane = 0; lane < lanes; lane++) {
            if (!look && now.at[lane] < now.end[lane])
                continue;
            uint32_t target = behind(self, now.state[lane], now.at[lane], now.end[lane]);
            if (self->failed)
                return 0;
            if (target >= FIRST_STATE && now.at[lane] < now.end[lane]) {
                now.state[lane] = target;
                now.at[lane]++;
                continue;
            }
            texts->out[now.row[lane]] = target == ACCEPT;
            taken = take_next(texts, &now, lane, start);
            if (taken < 0)
                return -1;
            if (taken == 0) { /* the last lane moves here */
                lanes--;
                now.at[lane] = now.at[lanes];
                now.end[lane] = now.end[lanes];
                now.state[lane] = now.state[lanes];
                now.row[lane] = now.row[lanes];
                lane--;
            }
        }
    }
    for (int lane = 0; lane < lanes && !self->failed; lane++)
        texts->out[now.row[lane]] = finish(self, now.at[lane], now.end[lane], now.state[lane]) == ACCEPT;
    return 0;
}

/* The same with a program that reads backwards, from the end of each document. It is used where a match ends there, so
 * most documents are decided by their last bytes. */
static int
read_backwards(Automaton *self, Texts *texts, uint32_t start)
{
    Reading now;
    int taken;
    while ((taken = take_next(texts, &now, 0, start)) > 0) {
        const unsigned char *at = now.end[0], *begin = now.at[0];
        uint32_t state = start;
        while (state >= FIRST_STATE) {
            uint32_t target;
            if (at == begin) {
                target = self->at_end[state] == UNKNOWN ? step(self, state, self->classes) : self->at_end[state];
                state = target == ACCEPT ? ACCEPT : DEAD;
                break;
            }
            at--;
            target = entry(self, state, *at);
            state = target == UNKNOWN ? step(self, state, self->class_of[*at]) : target;
        }
        if (self->failed)
            return 0;
        texts->out[now.row[0]] = state == ACCEPT;
    }
    return taken;
}

/* ---- places where a match may begin ------------------------------------------------------------------- */

/* A match has, at a few places from its beginning, bytes of certain sets. Up to four of these are looked for first, 32
 * places at a time, so that most documents need not be read by the automaton. */
enum { PROBES = 4, PLACES_OF_PROBES = 16, VECTOR = 32, HISTOGRAM = 1 << 14, TRIED = 1024 };
#define ENOUGH 1e-4 /* shares of the places of a text: so few that a fourth probe does not pay, */
#define MANY 1e-2   /* and so many that none does */

typedef struct {
    Py_ssize_t place;       /* from the beginning of the match */
    unsigned char has[256]; /* whether a byte is in the set */
    unsigned char low[16], high[16]; /* a byte is in the set, or perhaps, if its halves have a common bit */
} Probe;

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

/* Which of the next VECTOR places have the bytes. */
__attribute__((target("avx2"), always_inline)) static inline uint32_t
probed(const Probe *probes, int count, const unsigned char *at)
{
    const __m256i half = _mm256_set1_epi8(15);
    __m256i without = _mm256_setzero_si256();
    for (int each = 0; each < count; each++) {
        const Probe *probe = &probes[each];
        __m256i bytes = _mm256_loadu_si256((const __m256i *)(at + probe->place));
        __m256i low = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)probe->low));
        __m256i high = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)probe->high));
        low = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, half));
        high = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half));
        without = _mm256_or_si256(without, _mm256_cmpeq_epi8(_mm256_and_si256(low, high), _mm256_setzero_si256()));
    }
    return ~(uint32_t)_mm256_movemask_epi8(without);
}

/* The first place from `at` and before `stop` that has the bytes, or `stop`. */
__attribute__((target("avx2"))) static const unsigned char *
next_place(const Probe *probes, int count, const unsigned char *at, const unsigned char *stop)
{
    while (stop - at >= VECTOR + PLACES_OF_PROBES) {
        /* a tenth faster where the compiler knows the number */
        uint32_t bits = count == 3 ? probed(probes, 3, at) : probed(probes, count, at);
        if (bits)
            return at + lowest(bits);
        at += VECTOR;
    }
    for (; at < stop; at++) {
        int all = 1;
        for (int each = 0; each < count; each++)
            all &= stop - at > probes[each].place && probes[each].has[at[probes[each].place]];
        if (all)
            return at;
    }
    return stop;
}

static int
can_probe(void)
{
    return __builtin_cpu_supports("avx2");
}
#else
static const unsigned char *
next_place(const Probe *probes, int count, const unsigned char *at, const unsigned char *stop)
{
    return at;
}

static int
can_probe(void)
{
    return 0;
}
#endif

/* The halves of the bytes of a set. Half bytes that are followed by the same ones share a bit. Sets of text have few
 * such groups; if there are more than bits, the last bit has several, and a few bytes too many. */
static void
halve(Probe *probe)
{
    unsigned group_of[8] = {0};
    int groups = 0;
    for (int high = 0; high < 16; high++) {
        unsigned lows = 0;
        for (int low = 0; low < 16; low++)
            lows |= (unsigned)probe->has[high * 16 + low] << low;
        if (!lows)
            continue;
        int group = 0;
        while (group < groups && group_of[group] != lows)
            group++;
        if (group == groups && groups < 8)
            groups++;
        if (group == 8)
            group = 7;
        group_of[group] |= lows;
        probe->high[high] = (unsigned char)(1 << group);
    }
    for (int low = 0; low < 16; low++) {
        for (int group = 0; group < groups; group++)
            probe->low[low] |= (unsigned char)((group_of[group] >> low & 1) << group);
    }
}

/* Choose the places whose sets are rarest in these bytes. Returns how many; 0 if a match may be empty, or if so many
 * places would be found that looking for them does not pay. Assertions are taken to hold, which finds more. */
static int
choose_probes(Automaton *self, Probe *probes, const unsigned char *data, Py_ssize_t size)
{
    size_t bytes = self->words * sizeof *self->next;
    unsigned char sets[PLACES_OF_PROBES][256];
    double share[PLACES_OF_PROBES];
    int often[256] = {0}, length = 0, match = 0;
    Py_ssize_t sample = size < HISTOGRAM ? size : HISTOGRAM;
    for (Py_ssize_t at = 0; at < sample; at++)
        often[data[at]]++;
    memset(self->seen, 0, bytes);
    memset(self->current, 0, bytes);
    self->stack[0] = self->start;
    int32_t depth = 1;
    put(self->seen, self->start);
    for (;;) {
        while (depth > 0) { /* everything that is reached without a byte */
            const Op *op = &self->ops[self->stack[--depth]];
            int32_t targets[2];
            int count = 0;
            if (op->kind == OP_SPLIT) {
                targets[count++] = op->first;
                targets[count++] = op->second;
            } else if (op->kind == OP_ASSERT) {
                targets[count++] = op->second;
            } else {
                put(self->current, (int32_t)(op - self->ops));
                match |= op->kind == OP_MATCH;
            }
            while (count > 0) {
                if (put(self->seen, targets[--count]))
                    self->stack[depth++] = targets[count];
            }
        }
        if (match || length == PLACES_OF_PROBES)
            break;
        unsigned char *set = sets[length];
        memset(set, 0, 256);
        memset(self->seen, 0, bytes);
        for (size_t word = 0; word < self->words; word++) {
            for (uint64_t rest = self->current[word]; rest; rest &= rest - 1) {
                const Op *op = &self->ops[(int32_t)(word * 64) + lowest(rest)];
                for (int byte = op->first; byte <= op->second; byte++)
                    set[byte] = 1;
                if (put(self->seen, op->third))
                    self->stack[depth++] = op->third;
            }
        }
        memset(self->current, 0, bytes);
        Py_ssize_t found = 0;
        for (int byte = 0; byte < 256; byte++)
            found += set[byte] ? often[byte] : 0;
        share[length++] = ((double)found + 0.5) / ((double)sample + 1);
    }
    double all = 1;
    int chosen = 0;
    for (; chosen < PROBES && (chosen < 3 || all > ENOUGH); chosen++) {
        int best = -1;
        for (int place = 0; place < length; place++) {
            if (share[place] <= 1 && (best < 0 || share[place] < share[best]))
                best = place;
        }
        if (best < 0)
            break;
        memset(&probes[chosen], 0, sizeof *probes);
        probes[chosen].place = best;
        memcpy(probes[chosen].has, sets[best], 256);
        halve(&probes[chosen]);
        all *= share[best];
        share[best] = 2; /* taken */
    }
    return all < MANY ? chosen : 0;
}

static int64_t
offset_in(const Texts *texts, Py_ssize_t row)
{
    return texts->wide ? ((const int64_t *)texts->offsets)[row] : ((const int32_t *)texts->offsets)[row];
}

/* The same as `read_texts`, of all documents from texts->row to texts->stop, with probes. It may end before the last
 * document, if too many documents have what is looked for. */
static int
read_probed(Automaton *self, Texts *texts, uint32_t start, const Probe *probes, int count)
{
    Py_ssize_t first = texts->row, vain = 0;
    int64_t before = offset_in(texts, first);
    if (before < 0)
        return -1;
    for (Py_ssize_t row = first; row < texts->stop; row++) {
        int64_t here = offset_in(texts, row + 1);
        if (here < before || here > texts->size)
            return -1;
        before = here;
    }
    const unsigned char *at = texts->data + offset_in(texts, first), *stop = texts->data + before;
    memset(texts->out + first, 0, (size_t)(texts->stop - first));
    while ((at = next_place(probes, count, at, stop)) < stop) {
        int64_t place = at - texts->data;
        Py_ssize_t low = texts->row, high = texts->stop - 1, reach = 1;
        while (low + reach < high && offset_in(texts, low + reach) <= place) {
            low += reach;
            reach *= 2;
        }
        if (low + reach < high)
            high = low + reach;
        while (low < high) {
            Py_ssize_t middle = low + (high - low) / 2;
            if (place < offset_in(texts, middle + 1))
                high = middle;
            else
                low = middle + 1;
        }
        const unsigned char *begin = texts->data + offset_in(texts, low), *end = texts->data + offset_in(texts, low + 1);
        /* Nothing matches before this place. Without assertions, what is there does not matter. */
        texts->out[low] = finish(self, self->asserts ? begin : at, end, start) == ACCEPT;
        if (self->failed)
            return 0;
        texts->row = low + 1;
        at = end > at ? end : at + 1;
        vain += self->asserts || !texts->out[low]; /* what was read to find nothing, or from the beginning */
        if (low - first > TRIED && vain > (low - first) / 4)
            return 0;
    }
    texts->row = texts->stop;
    return 0;
}
