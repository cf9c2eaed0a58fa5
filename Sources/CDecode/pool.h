#ifndef CDECODE_POOL_H
#define CDECODE_POOL_H

#include "cdecode.h"

typedef void (*cd_work)(void *context, int64_t from, int64_t to);

// Calls work for the pieces of 0..<count, each at most `piece` long, on whichever thread is free, and returns when all
// are done. A thread that another process keeps from running holds nothing up but the piece it has.
void cd_parallel(cd_pool *, int64_t count, int64_t piece, cd_work, void *context);

// Pieces of about `each` operations, and enough of them for all threads.
int64_t cd_piece(const cd_pool *, int64_t count, int64_t unit, int64_t operations_of_one);

#endif
