/* How much a server of OpenAI's streaming API can do: CONNECTIONS of them, each with its next request as soon as the
 * reply before is whole, for SECONDS. They begin one after the other in SPREAD seconds, which do not
 * count. One thread, epoll. Prints the number of replies, the seconds they took, and the seconds in all.
 *
 *   load PORT CONNECTIONS TOKENS SECONDS SPREAD */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define END "0\r\n\r\n"  /* of a body in chunks */
#define BODY "{\"model\":\"mock\",\"stream\":true,\"max_tokens\":%d,\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}"
#define HEAD "POST /v1/chat/completions HTTP/1.1\r\nHost: mock\r\nContent-Length: %d\r\n\r\n%s"

static char request[4096];
static char tails[1 << 20][sizeof END];  /* the last bytes that came, by file */

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void ask(int fd) {
    size_t size = strlen(request);
    memset(tails[fd], 0, sizeof *tails);
    if (send(fd, request, size, MSG_NOSIGNAL) != (ssize_t)size) fail("send");
}

/* Whether the reply is whole now. */
static int read_some(int fd) {
    static char data[1 << 18];
    const size_t size = sizeof END - 1;
    ssize_t got = recv(fd, data, sizeof data, 0);
    if (got <= 0) fail("recv");
    size_t new = (size_t)got < size ? (size_t)got : size;
    memmove(tails[fd], tails[fd] + new, size - new);
    memcpy(tails[fd] + size - new, data + got - new, new);
    return !memcmp(tails[fd], END, size);
}

int main(int count, char **given) {
    if (count != 6) return fprintf(stderr, "usage: load PORT CONNECTIONS TOKENS SECONDS SPREAD\n"), 2;
    int connections = atoi(given[2]), tokens = atoi(given[3]), one = 1;
    char words[64 * 5 + 1] = "", body[1024];
    for (int i = 0; i < 64; i++) strcat(words, " word");
    int size = sprintf(body, BODY, tokens, words);
    sprintf(request, HEAD, size, body);
    struct rlimit files = {1 << 16, 1 << 16};
    setrlimit(RLIMIT_NOFILE, &files);

    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(atoi(given[1])),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int poller = epoll_create1(0);
    double start = now_s(), spread = atof(given[5]);
    for (int i = 0; i < connections; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, (void *)&server, sizeof server)) fail("connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
        while (now_s() < start + spread * i / connections) usleep(20);
        ask(fd);
    }
    double begin = now_s(), now = begin, seconds = atof(given[4]);
    long replies = 0;
    while ((now = now_s()) < begin + seconds) {
        struct epoll_event ready[256];
        int found = epoll_wait(poller, ready, 256, 10);
        for (int i = 0; i < found; i++)
            if (read_some(ready[i].data.fd)) replies++, ask(ready[i].data.fd);
    }
    printf("%ld %.6f %.6f\n", replies, now - begin, now - start);
}
