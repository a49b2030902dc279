/* A server of OpenAI's streaming API whose times are known, for measuring clients: one thread, epoll, and C, so that it
 * takes little of the machine that it shares with what it measures.
 *
 * Each request is answered with its first token TTFT after it was read whole, and the next ones GAP apart, whatever
 * else goes on. When it came and when its tokens were written is kept, in nanoseconds of CLOCK_MONOTONIC, which is the
 * client's clock too.
 *
 *   POST /v1/chat/completions, /v1/completions     streamed or not
 *   GET  /v1/models, /health, /metrics
 *   GET  /_set/TTFT_NS/GAP_NS/TOKENS/MARKS          for requests to come; TOKENS 0: as many as max_tokens says;
 *                                                   MARKS 1: keep the time of every token
 *   GET  /_log, /_marks, /_clear                    what was kept, as `struct row` and `struct mark`
 *
 * It prints its port, and ends when its standard input does. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "asked.h"
#include "due.h"

struct row { int64_t arrival, first, last; int32_t tokens, prompt_tokens; };  /* times of 0: it did not come to that */
struct mark { int64_t at; int32_t row, token; };
struct conn {
    int fd;
    bool busy, chat, stream, usage, closing;
    int64_t row, base, gap, made, tokens, prompt_tokens;  /* token k of the reply to row is due at base + k gap */
    char *in, *out;
    size_t in_size, in_used, out_size, out_used;
};

static int poller, timer;
static int64_t ttft_ns = 20000000, gap_ns = 0, fixed_tokens = 0, marking = 0, running = 0, armed = INT64_MAX;
static int64_t all_prompt_tokens, all_tokens, all_requests;
static struct conn **conns;
static struct row *rows;
static struct mark *marks;
static size_t row_count, row_room, mark_count, mark_room;
static int64_t first_row;  /* the number of rows[0]: rows are numbered on when the log is cleared */

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Writing. What the socket does not take at once waits in the connection. */

static void watch(struct conn *c, uint32_t events) {
    struct epoll_event e = {.events = events, .data.fd = c->fd};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
}

static bool drop(struct conn *c) {
    running -= c->busy;
    conns[c->fd] = NULL;
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
    return false;
}

/* Like all below that take a connection: false if it is gone afterwards. */
static bool send_all(struct conn *c, const char *data, size_t size) {
    if (!c->out_used) {
        ssize_t sent = send(c->fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return drop(c);
        if (sent > 0) data += sent, size -= sent;
    }
    if (size) {
        c->out = grown(c->out, c->out_used + size, &c->out_size, 1);
        memcpy(c->out + c->out_used, data, size);
        c->out_used += size;
        watch(c, EPOLLIN | EPOLLOUT);
    } else if (c->closing && !c->busy) return drop(c);
    return true;
}

static bool send_rest(struct conn *c) {
    ssize_t sent = send(c->fd, c->out, c->out_used, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || drop(c);
    c->out_used -= sent;
    memmove(c->out, c->out + sent, c->out_used);
    if (c->out_used) return true;
    watch(c, EPOLLIN);
    return !c->closing || c->busy || drop(c);
}

static bool send_page(struct conn *c, const char *status, const char *type, const void *data, size_t size) {
    char head[200];
    int length = sprintf(head, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", status, type, size);
    bool last = c->closing;
    c->closing = false;  /* not between the head and the page */
    if (!send_all(c, head, length)) return false;
    c->closing = last;
    return send_all(c, data, size);
}

static bool send_text(struct conn *c, const char *status, const char *type, const char *text) {
    return send_page(c, status, type, text, strlen(text));
}

/* Replies. Of a stream, all but its end is the same each time. */

#define OK "HTTP/1.1 200 OK\r\n"
#define STREAM OK "Content-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
#define ALL "\"created\":1700000000,\"model\":\"mock\",\"choices\":["
#define CHAT "{\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\"," ALL
#define WHOLE_CHAT "{\"id\":\"chatcmpl-0\",\"object\":\"chat.completion\"," ALL
#define TEXT "{\"id\":\"cmpl-0\",\"object\":\"text_completion\"," ALL
#define USAGE "],\"usage\":{\"prompt_tokens\":%ld,\"completion_tokens\":%ld,\"total_tokens\":%ld}}"

static const char *const ROLE =
    CHAT "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}";
static const char *const TOKEN[2] = {TEXT "{\"index\":0,\"text\":\" word\",\"finish_reason\":null}]}",
                                     CHAT "{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}"};
static const char *const FINISH[2] = {TEXT "{\"index\":0,\"text\":\"\",\"finish_reason\":\"length\"}]}",
                                      CHAT "{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}"};
static char token_chunk[2][400];
static size_t token_size[2];

static char *put_event(char *to, const char *json) {
    return to + sprintf(to, "%zx\r\ndata: %s\n\n\r\n", strlen(json) + 8, json);
}

static char *put_usage(char *to, const struct conn *c) {
    return to + sprintf(to, USAGE, c->prompt_tokens, c->tokens, c->prompt_tokens + c->tokens);
}

static char *put_end(char *to, const struct conn *c) {
    char json[400];
    to = put_event(to, FINISH[c->chat]);
    if (c->usage) {
        put_usage(stpcpy(json, c->chat ? CHAT : TEXT), c);
        to = put_event(to, json);
    }
    to = put_event(to, "[DONE]");
    return stpcpy(to, "0\r\n\r\n");
}

static char *put_whole(char *to, const struct conn *c) {
    static char *json;
    static size_t room;
    json = grown(json, 5 * c->tokens + 1000, &room, 1);
    char *p = stpcpy(json, c->chat ? WHOLE_CHAT "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\""
                                   : TEXT "{\"index\":0,\"text\":\"");
    for (long i = 0; i < c->tokens; i++) p = stpcpy(p, " word");
    p = stpcpy(p, c->chat ? "\"},\"finish_reason\":\"length\"}" : "\",\"finish_reason\":\"length\"}");
    p = put_usage(p, c);
    return to + sprintf(to, OK "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", p - json, json);
}

/* Write what is due of a connection's reply now: a token, or all of them if they are no time apart. */
static bool answer(struct conn *c) {
    static char *page;
    static size_t room;
    long from = c->made;
    page = grown(page, 4000 + (c->gap && c->stream ? 1 : c->tokens) * sizeof token_chunk[0], &room, 1);
    char *to = page;
    if (!c->stream) to = put_whole(to, c), c->made = c->tokens;
    else {
        if (!from) to = mempcpy(to, STREAM, strlen(STREAM));
        if (!from && c->chat) to = put_event(to, ROLE);
        do to = mempcpy(to, token_chunk[c->chat], token_size[c->chat]); while (++c->made < c->tokens && !c->gap);
        if (c->made == c->tokens) to = put_end(to, c);
    }
    c->busy = c->made < c->tokens;
    if (c->busy) push((struct due){c->base + c->made * c->gap, c->row, c->fd});
    else running--, all_requests++, all_tokens += c->tokens, all_prompt_tokens += c->prompt_tokens;
    int64_t at = now_ns();
    if (c->row >= first_row) {
        struct row *row = rows + (c->row - first_row);
        if (!from || !c->stream) row->first = at;
        if (!c->busy) row->last = at;
        if (marking && c->stream) marks = grown(marks, mark_count + c->made - from, &mark_room, sizeof *marks);
        for (; marking && c->stream && from < c->made; from++)
            marks[mark_count++] = (struct mark){at, c->row - first_row, from};
    }
    return send_all(c, page, to - page);
}

static bool begin(struct conn *c, const char *body, const char *end, int64_t arrival) {
    struct asked asked = asked_in(body, end);
    rows = grown(rows, row_count + 1, &row_room, sizeof *rows);
    c->row = first_row + row_count;
    c->tokens = fixed_tokens ? fixed_tokens : asked.tokens < 1 ? 1 : asked.tokens > 1 << 20 ? 1 << 20 : asked.tokens;
    c->prompt_tokens = asked.prompt_tokens;
    c->stream = asked.stream;
    c->usage = asked.usage;
    c->made = asked.stream ? 0 : c->tokens - 1;
    c->base = arrival + ttft_ns;
    c->gap = gap_ns;
    c->busy = true;
    running++;
    rows[row_count++] = (struct row){arrival, 0, 0, c->tokens, c->prompt_tokens};
    if (c->base + c->made * c->gap <= arrival) return answer(c);
    push((struct due){c->base + c->made * c->gap, c->row, c->fd});
    return true;
}

#define BYTES "application/octet-stream"
#define JSON "application/json"
#define MODELS "{\"object\":\"list\",\"data\":[{\"id\":\"mock\",\"object\":\"model\",\"owned_by\":\"mock\"}]}"
#define NO_PATH "{\"error\":{\"message\":\"no such path\"}}"
#define METRICS \
    "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running %ld\n" \
    "# TYPE vllm:prompt_tokens counter\nvllm:prompt_tokens_total %ld\n" \
    "# TYPE vllm:generation_tokens counter\nvllm:generation_tokens_total %ld\n" \
    "# TYPE vllm:request_success counter\nvllm:request_success_total %ld\n"

static bool tell(struct conn *c, const char *path) {
    long long ttft, gap, tokens, mark;
    if (sscanf(path, "/_set/%lld/%lld/%lld/%lld ", &ttft, &gap, &tokens, &mark) == 4) {
        ttft_ns = ttft, gap_ns = gap, fixed_tokens = tokens, marking = mark;
        return send_text(c, "200 OK", "text/plain", "set\n");
    }
    if (!strncmp(path, "/_log ", 6)) return send_page(c, "200 OK", BYTES, rows, row_count * sizeof *rows);
    if (!strncmp(path, "/_marks ", 8)) return send_page(c, "200 OK", BYTES, marks, mark_count * sizeof *marks);
    if (!strncmp(path, "/_clear ", 8)) {
        first_row += row_count, row_count = mark_count = 0;
        return send_text(c, "200 OK", "text/plain", "cleared\n");
    }
    if (!strncmp(path, "/health ", 8)) return send_text(c, "200 OK", "text/plain", "");
    if (!strncmp(path, "/v1/models ", 11)) return send_text(c, "200 OK", JSON, MODELS);
    if (strncmp(path, "/metrics ", 9)) return send_text(c, "404 Not Found", JSON, NO_PATH);
    char text[400];
    sprintf(text, METRICS, running, all_prompt_tokens, all_tokens, all_requests);
    return send_text(c, "200 OK", "text/plain; version=0.0.4", text);
}

/* Reading. */

/* Answer the first request that is in a connection's buffer, if it is whole. */
static bool take(struct conn *c, int64_t arrival) {
    char *end_of_head = memmem(c->in, c->in_used, "\r\n\r\n", 4);
    if (!end_of_head) return c->in_used < 65536 || drop(c);
    char *body = end_of_head + 4;
    *end_of_head = 0;
    char *length = strcasestr(c->in, "\ncontent-length:");
    size_t size = body - c->in + (length ? strtoul(length + 16, NULL, 10) : 0);
    if (size > c->in_used) {
        *end_of_head = '\r';
        c->in = grown(c->in, size + 1, &c->in_size, 1);
        return true;
    }
    c->closing = strcasestr(c->in, "\nconnection: close");
    c->chat = !strncmp(c->in, "POST /v1/chat/completions ", 26);
    bool here;
    if (c->chat || !strncmp(c->in, "POST /v1/completions ", 21)) here = begin(c, body, c->in + size, arrival);
    else here = tell(c, strchr(c->in, ' ') ? strchr(c->in, ' ') + 1 : "");
    if (!here) return false;
    c->in_used -= size;
    memmove(c->in, c->in + size, c->in_used);
    return true;
}

/* Answer the requests that are in a connection's buffer, one after the other. */
static bool take_all(struct conn *c, int64_t arrival) {
    for (size_t before = 0; !c->busy && c->in_used && c->in_used != before;) {
        before = c->in_used;
        if (!take(c, arrival)) return false;
    }
    return true;
}

static bool read_some(struct conn *c) {
    int64_t arrival = now_ns();
    c->in = grown(c->in, c->in_used + 4096, &c->in_size, 1);
    ssize_t got = recv(c->fd, c->in + c->in_used, c->in_size - c->in_used - 1, 0);
    if (got < 0) return errno == EAGAIN || drop(c);
    if (!got) return drop(c);
    c->in_used += got;
    return take_all(c, arrival);
}

static void meet(int listener) {
    for (int fd, i = 0; i < 32 && (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        conns[fd] = calloc(1, sizeof **conns);
        conns[fd]->fd = fd;
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

static void answer_due(void) {
    int64_t now = now_ns();
    while (heap_count && heap[0].at <= now) {
        struct due d = pop();
        struct conn *c = conns[d.fd];
        if (c && c->busy && c->row == d.row && answer(c)) take_all(c, now);
    }
    if (!heap_count || heap[0].at == armed) return;
    armed = heap[0].at;
    struct itimerspec at = {.it_value = {armed / 1000000000, armed % 1000000000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

int main(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_max > 1 << 20) files.rlim_max = 1 << 20;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    conns = calloc(files.rlim_max, sizeof *conns);
    for (int chat = 0; chat < 2; chat++)
        token_size[chat] = put_event(token_chunk[chat], TOKEN[chat]) - token_chunk[chat];

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);  /* accepted connections have it too */
    if (bind(listener, (void *)&address, size) || listen(listener, 4096)) { perror("mock"); return 1; }
    getsockname(listener, (void *)&address, &size);
    poller = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &(struct epoll_event){.events = EPOLLIN | EPOLLET, .data.fd = timer});
    epoll_ctl(poller, EPOLL_CTL_ADD, 0, &(struct epoll_event){.events = EPOLLIN, .data.fd = 0});
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);

    for (struct epoll_event ready[32];;) {
        int count = epoll_wait(poller, ready, 32, -1);
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            if (fd == 0) return 0;
            if (fd == listener) meet(listener);
            if (fd == listener || fd == timer || !conns[fd]) continue;
            if ((ready[i].events & EPOLLOUT) && !send_rest(conns[fd])) continue;
            if (ready[i].events & ~EPOLLOUT) read_some(conns[fd]);
        }
        answer_due();
    }
}
