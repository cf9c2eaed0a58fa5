// A sequence's next token, out of its logits: the likeliest one, or the one that a uniform number falls on among those that temperature,
// top-k, top-p and min-p leave, likeliest first. One thread block has a sequence.
//
// Nothing is sorted but what a search ends in. Tokens are counted in bins of 1/36 nat below the likeliest, and every cut-off is a sum from the
// top that must be reached: by a number of tokens or by a share of their probabilities. The bin in which that happens is read out into shared
// memory and sorted; one with too many tokens is parted further first. Probabilities are whole numbers of 2^-40 of the largest, so that sums
// do not depend on the order in which threads come.
#define THREADS 1024
#define LIST 2048      // tokens that are sorted at most
#define UNROLLED 8     // logits that a thread has under way
#define NOTHING 1023   // the bin of tokens whose probability is no 2^-40 of the largest
#define TOKEN_MASK ((1u << TOKEN_BITS) - 1)
#define PLACE_BITS (32 + TOKEN_BITS)

struct Sum {
    u64 mass;
    u32 count;
    __device__ __forceinline__ u64 by(bool isCount) const { return isCount ? count : mass; }
};
__device__ __forceinline__ Sum operator+(const Sum &a, const Sum &b) { return {a.mass + b.mass, a.count + b.count}; }
__device__ __forceinline__ Sum operator-(const Sum &a, const Sum &b) { return {a.mass - b.mass, a.count - b.count}; }

/// A bin of each thread.
struct Bins {
    u32 counts[THREADS], lower[THREADS], upper[THREADS];

    __device__ __forceinline__ void clear() { counts[threadIdx.x] = lower[threadIdx.x] = upper[threadIdx.x] = 0; }
    __device__ __forceinline__ Sum at(int bin) const { return {(u64)upper[bin] << 32 | lower[bin], counts[bin]}; }
    __device__ __forceinline__ void set(int bin, const Sum &sum) {
        counts[bin] = sum.count, lower[bin] = (u32)sum.mass, upper[bin] = (u32)(sum.mass >> 32);
    }
    __device__ __forceinline__ void add(int bin, u64 mass) {
        atomicAdd(&counts[bin], 1u);
        const u32 part = (u32)mass;
        const u32 before = part ? atomicAdd(&lower[bin], part) : 0;
        const u32 rest = (u32)(mass >> 32) + (before + part < before ? 1 : 0);
        if (rest) atomicAdd(&upper[bin], rest);
    }
};

/// What a search has come to: tokens of one bin whose places agree with `from` but for their last bits.
struct Found {
    u64 from, mass;  // the mass of all that stand in front
    u32 count, inside;
    int bin;
};

struct Memory {
    Bins bins, parts;
    u64 list[LIST];
    u64 warpMasses[32];
    u32 warpCounts[32];
    Found found;
    u64 best, mass;
    u32 listed;
    int token;
};

struct Row {
    const float *logits;
    const u32 *seen;
    int vocabulary;
    float penalty, top, inverse;

    /// (Keskar et al. 2019, arXiv 1909.05858.)
    __device__ __forceinline__ float penalized(float logit, int token) const {
        if (!seen || !(seen[token >> 5] >> (token & 31) & 1)) return logit;
        const float value = logit > 0 ? __fdiv_rn(logit, penalty) : __fmul_rn(logit, penalty);
        return fminf(fmaxf(value, -3.4028235e38f), 3.4028235e38f);
    }
    /// Nats below the likeliest.
    __device__ __forceinline__ float distance(float logit) const { return __fmul_rn(__fsub_rn(top, logit), inverse); }
    __device__ __forceinline__ int bin(float distance) const { return distance < NOTHING / 36.f ? min((int)(distance * 36), NOTHING) : NOTHING; }
    __device__ __forceinline__ u64 weight(float distance) const {
        return bin(distance) == NOTHING ? 0 : __float2ull_rn(expf(-distance) * 1099511627776.f);
    }
    /// Larger for likelier tokens, and for the first of equals; never 0.
    __device__ __forceinline__ static u64 place(float logit, int token) {
        const u32 bits = __float_as_uint(logit + 0.f);
        const u32 key = bits ^ (bits >> 31 ? ~0u : 0x80000000u);
        return (u64)key << TOKEN_BITS | (TOKEN_MASK - token);
    }
    __device__ __forceinline__ static float logit(u64 place) {
        const u32 key = (u32)(place >> TOKEN_BITS);
        return __uint_as_float(key ^ (key >> 31 ? 0x80000000u : ~0u));
    }

    template <typename Body>
    __device__ __forceinline__ void forEach(Body body) const {
        for (int start = threadIdx.x; start < vocabulary; start += UNROLLED * THREADS) {
            float some[UNROLLED];
#pragma unroll
            for (int i = 0; i < UNROLLED; i++) {
                const int token = start + i * THREADS;
                some[i] = token < vocabulary ? loadFresh(logits + token) : 0;
            }
#pragma unroll
            for (int i = 0; i < UNROLLED; i++) {
                const int token = start + i * THREADS;
                if (token < vocabulary) body(some[i], token);
            }
        }
    }
};

/// The sums up to each thread's own.
__device__ Sum scanned(const Sum &own, Memory &m) {
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    Sum sum = own;
#pragma unroll
    for (int distance = 1; distance < 32; distance <<= 1) {
        const Sum before = {__shfl_up_sync(~0u, sum.mass, distance), __shfl_up_sync(~0u, sum.count, distance)};
        if (lane >= distance) sum = sum + before;
    }
    if (lane == 31) m.warpMasses[warp] = sum.mass, m.warpCounts[warp] = sum.count;
    __syncthreads();
    Sum front = {0, 0};
    for (int i = 0; i < warp; i++) front = front + Sum{m.warpMasses[i], m.warpCounts[i]};
    __syncthreads();
    return front + sum;
}

/// Finds the token with which the sum from the top, of tokens or of their probabilities, first reaches `target`: `m.token`, and in `m.mass`
/// the probabilities up to it.
/// `m.bins` hold sums from the top; `target` is from 1 to all of it.
__device__ void search(const Row &row, bool isCount, u64 target, Memory &m) {
    const int t = threadIdx.x;
    {
        const Sum upTo = m.bins.at(t), before = t ? m.bins.at(t - 1) : Sum{0, 0};
        if (upTo.by(isCount) >= target && before.by(isCount) < target) m.found = {0, before.mass, before.count, upTo.count - before.count, t};
    }
    __syncthreads();
    if (m.found.bin == NOTHING) {  // by number alone: all that have a probability are in front
        if (t == 0) m.mass = m.found.mass, m.token = -1;
        __syncthreads();
        return;
    }
    int bits = PLACE_BITS;
    for (; m.found.inside > LIST; bits -= 10) {
        const Found found = m.found;
        m.parts.clear();
        __syncthreads();
        row.forEach([&](float raw, int token) {
            const float logit = row.penalized(raw, token), distance = row.distance(logit);
            if (row.bin(distance) != found.bin) return;
            const u64 place = Row::place(logit, token);
            if ((place ^ found.from) >> bits == 0) m.parts.add(1023 - (int)(place >> (bits - 10) & 1023), row.weight(distance));
        });
        __syncthreads();
        const Sum own = m.parts.at(t), front = {found.mass, found.count};
        const Sum upTo = front + scanned(own, m), before = upTo - own;
        if (upTo.by(isCount) >= target && before.by(isCount) < target)
            m.found = {found.from | (u64)(1023 - t) << (bits - 10), before.mass, before.count, own.count, found.bin};
        __syncthreads();
    }
    const Found found = m.found;
    u32 length = 2;
    while (length < found.inside) length <<= 1;
    if (t == 0) m.listed = 0;
    m.list[t] = m.list[t + THREADS] = 0;
    __syncthreads();
    row.forEach([&](float raw, int token) {
        const float logit = row.penalized(raw, token);
        if (row.bin(row.distance(logit)) != found.bin) return;
        const u64 place = Row::place(logit, token);
        if ((place ^ found.from) >> bits == 0) m.list[atomicAdd(&m.listed, 1u)] = place;
    });
    // Batcher's bitonic sort, largest first.
    for (u32 size = 2; size <= length; size <<= 1)
        for (u32 stride = size / 2; stride; stride >>= 1) {
            __syncthreads();
            if (t < length / 2) {
                const u32 i = 2 * t - (t & (stride - 1));
                const u64 a = m.list[i], b = m.list[i + stride];
                if ((a < b) == !(i & size)) m.list[i] = b, m.list[i + stride] = a;
            }
        }
    __syncthreads();
    auto sumOf = [&](u64 place) { return place ? Sum{row.weight(row.distance(Row::logit(place))), 1} : Sum{0, 0}; };
    const u64 places[2] = {m.list[2 * t], m.list[2 * t + 1]};
    const Sum first = sumOf(places[0]), both = first + sumOf(places[1]);
    Sum sum = Sum{found.mass, found.count} + scanned(both, m) - both;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const Sum next = sum + (i ? both - first : first);
        if (next.by(isCount) >= target && sum.by(isCount) < target) m.token = (int)(TOKEN_MASK - (u32)(places[i] & TOKEN_MASK)), m.mass = next.mass;
        sum = next;
    }
    __syncthreads();
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) sample(const __grid_constant__ SampleArguments a) {
    __shared__ Memory m;
    letNextBegin();
    waitForPrevious();
    const int t = threadIdx.x;
    const SampleChoice choice = ((const SampleChoice *)a.choices)[blockIdx.x];
    Row row = {(const float *)a.logits + (u64)blockIdx.x * a.vocabulary, (const u32 *)choice.seen, a.vocabulary, choice.penalty, 0, choice.inverseTemperature};
    int *token = (int *)a.tokens + blockIdx.x;

    // The likeliest, and whether all are numbers.
    u64 best = 0;
    bool isNumber = true;
    row.forEach([&](float raw, int token) {
        isNumber = isNumber && (__float_as_uint(raw) & 0x7f800000u) != 0x7f800000u;
        const u64 place = Row::place(row.penalized(raw, token), token);
        if (place > best) best = place;
    });
#pragma unroll
    for (int distance = 16; distance; distance >>= 1) {
        const u64 other = __shfl_xor_sync(~0u, best, distance);
        if (other > best) best = other;
    }
    if ((t & 31) == 0) m.list[t >> 5] = best;
    if (__syncthreads_or(!isNumber)) {
        if (t == 0) *token = -1;
        return;
    }
    if (t == 0) {
        for (int i = 1; i < THREADS / 32; i++)
            if (m.list[i] > best) best = m.list[i];
        m.best = best;
        if (choice.inverseTemperature == 0) *token = (int)(TOKEN_MASK - (u32)(best & TOKEN_MASK));
    }
    if (choice.inverseTemperature == 0) return;

    m.bins.clear();
    __syncthreads();
    row.top = Row::logit(m.best);
    Sum likely = {0, 0};  // at least minP times as likely as the likeliest
    row.forEach([&](float raw, int token) {
        const float distance = row.distance(row.penalized(raw, token));
        const int bin = row.bin(distance);
        if (bin == NOTHING) return;
        const u64 weight = row.weight(distance);
        m.bins.add(bin, weight);
        if (distance <= choice.farthest) likely.mass += weight;
    });
    __syncthreads();
    const u64 likelyMass = scanned(likely, m).mass;
    if (t == THREADS - 1) m.mass = likelyMass;
    Sum upTo = scanned(m.bins.at(t), m);
    // Nobody counted those without a probability.
    if (t == NOTHING) upTo.count = a.vocabulary;
    m.bins.set(t, upTo);
    __syncthreads();
    const u64 likelyOnes = m.mass;
    u64 mass = m.bins.at(NOTHING).mass;
    __syncthreads();
    if (choice.topK > 0 && choice.topK < a.vocabulary) {
        search(row, true, choice.topK, m);
        mass = m.mass;
    }
    if (choice.topP < 1) {
        const u64 target = (u64)ceil(choice.topP * (double)mass);
        search(row, false, target < 1 ? 1 : target > mass ? mass : target, m);
        mass = m.mass;
    }
    // What one of the cut-offs leaves is part of what the other leaves: all begin at the top.
    if (likelyOnes < mass) mass = likelyOnes;
    const u64 point = (u64)(choice.uniform * (double)mass) + 1;
    search(row, false, point > mass ? mass : point, m);
    if (t == 0) *token = m.token;
}
