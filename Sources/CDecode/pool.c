#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

// A wait turns this many times before it sleeps: longer than the gap between two products of a step, shorter than that
// between two steps where nothing is to be done.
enum { turns = 20000 };

// The ticket says which work it is, how many pieces it has, and which comes next, so that a thread that comes late
// learns all three at once.
enum { next_bits = 24, total_bits = 24 };
static const uint64_t next_mask = (1ull << next_bits) - 1, total_mask = (1ull << total_bits) - 1;

struct cd_pool {
    int threads;
    pthread_t *handles;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    _Alignas(64) _Atomic uint64_t ticket;
    _Alignas(64) _Atomic int64_t finished;
    atomic_int sleeping;
    atomic_bool ends;
    // Written while no piece is left, so that whoever holds a piece may read them.
    int64_t count, piece;
    cd_work work;
    void *context;
};

static inline void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static inline uint64_t number(uint64_t ticket) { return ticket >> (next_bits + total_bits); }

// Works until no piece is left; returns the number of the work.
static uint64_t take_pieces(cd_pool *pool) {
    for (;;) {
        uint64_t ticket = atomic_fetch_add(&pool->ticket, 1);
        int64_t next = (int64_t)(ticket & next_mask), total = (int64_t)(ticket >> next_bits & total_mask);
        if (next >= total) return number(ticket);
        int64_t from = next * pool->piece, to = from + pool->piece;
        pool->work(pool->context, from, to < pool->count ? to : pool->count);
        atomic_fetch_add_explicit(&pool->finished, 1, memory_order_release);
    }
}

static void *run(void *argument) {
    cd_pool *pool = argument;
    uint64_t seen = 0;
    for (;;) {
        int turn = 0;
        while (number(atomic_load_explicit(&pool->ticket, memory_order_acquire)) == seen) {
            if (atomic_load(&pool->ends)) return NULL;
            if (++turn < turns) {
                pause_briefly();
                continue;
            }
            pthread_mutex_lock(&pool->lock);
            atomic_fetch_add(&pool->sleeping, 1);
            while (number(atomic_load(&pool->ticket)) == seen && !atomic_load(&pool->ends))
                pthread_cond_wait(&pool->wake, &pool->lock);
            atomic_fetch_sub(&pool->sleeping, 1);
            pthread_mutex_unlock(&pool->lock);
        }
        seen = take_pieces(pool);
    }
}

static void wake_all(cd_pool *pool) {
    if (atomic_load(&pool->sleeping) == 0) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

cd_pool *cd_pool_make(int threads) {
    cd_pool *pool = aligned_alloc(64, (sizeof(cd_pool) + 63) / 64 * 64);
    if (!pool) return NULL;
    *pool = (cd_pool){.threads = 1};
    pool->handles = calloc((size_t)threads, sizeof(pthread_t));
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    // With fewer threads than were asked for the work is the same, and slower.
    for (int index = 1; index < threads && pool->handles; index++) {
        if (pthread_create(&pool->handles[index], NULL, run, pool) != 0) break;
        pool->threads = index + 1;
    }
    return pool;
}

void cd_pool_free(cd_pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->ends, true);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int index = 1; index < pool->threads; index++) pthread_join(pool->handles[index], NULL);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->wake);
    free(pool->handles);
    free(pool);
}

void cd_parallel(cd_pool *pool, int64_t count, int64_t piece, cd_work work, void *context) {
    int64_t total = (count + piece - 1) / piece;
    if (total <= 1 || pool->threads == 1) {
        if (count > 0) work(context, 0, count);
        return;
    }
    pool->count = count;
    pool->piece = piece;
    pool->work = work;
    pool->context = context;
    atomic_store(&pool->finished, 0);
    uint64_t following = number(atomic_load(&pool->ticket)) + 1;
    atomic_store(&pool->ticket, following << (next_bits + total_bits) | (uint64_t)total << next_bits);
    wake_all(pool);
    take_pieces(pool);
    int turn = 0;
    while (atomic_load_explicit(&pool->finished, memory_order_acquire) < total) {
        // Whoever has the last piece may need this core.
        if (++turn % turns == 0) sched_yield();
        pause_briefly();
    }
}

int64_t cd_piece(const cd_pool *pool, int64_t count, int64_t unit, int64_t operations_of_one) {
    enum { least_operations = 1 << 15, pieces_per_thread = 8 };
    int64_t even = count / (pool->threads * pieces_per_thread), worth = least_operations / (operations_of_one + 1);
    int64_t piece = even > worth ? even : worth;
    piece = (piece + unit - 1) / unit * unit;
    return piece > unit ? piece : unit;
}
