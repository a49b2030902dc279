/* What is due, the earliest first: a binary heap. And arrays that grow. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct due { int64_t at, row; int fd; };  /* row tells a connection from a later one with the same number */

static struct due *heap;
static size_t heap_count, heap_room;

static void *grown(void *array, size_t needed, size_t *room, size_t each) {
    if (needed <= *room) return array;
    while (*room < needed) *room = *room ? *room * 2 : 1024;
    if (!(array = realloc(array, *room * each))) { perror("mock"); exit(1); }
    return array;
}

static void push(struct due d) {
    heap = grown(heap, heap_count + 1, &heap_room, sizeof *heap);
    size_t i = heap_count++;
    for (; i && heap[(i - 1) / 2].at > d.at; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = d;
}

static struct due pop(void) {
    struct due top = heap[0], last = heap[--heap_count];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < heap_count) {
        if (child + 1 < heap_count && heap[child + 1].at < heap[child].at) child++;
        if (heap[child].at >= last.at) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}
