/* What a request's body asks for: one walk through its JSON, for the few values that matter. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct asked { long tokens, prompt_tokens; bool stream, usage; };  /* a prompt's tokens are its words, or its ids */

static bool named(const char *key, size_t length, const char *name) {
    return length == strlen(name) && !memcmp(key, name, length);
}

static const char *end_of_string(const char *p, const char *end) {
    for (const char *q = p; (q = memchr(q, '"', end - q)); q++) {
        const char *slash = q;
        while (slash > p && slash[-1] == '\\') slash--;
        if ((q - slash) % 2 == 0) return q;
    }
    return end;
}

static long words(const char *p, const char *end) {
    long count = 0;
    for (bool between = true; p < end; p++) {
        bool space = *p == ' ' || (*p == '\\' && p + 1 < end && strchr("nrt", p[1]));
        if (*p == '\\') p++;
        count += between && !space;
        between = space;
    }
    return count;
}

static struct asked asked_in(const char *p, const char *end) {
    struct asked found = {.tokens = 16};
    const char *key = "";
    size_t length = 0;
    while (p < end) {
        if (*p == '"') {
            const char *text = p + 1;
            p = end_of_string(text, end);
            const char *colon = p + 1;
            while (colon < end && (*colon == ' ' || *colon == '\n')) colon++;
            if (colon < end && *colon == ':') { key = text; length = p - text; p = colon; }
            else if (named(key, length, "content") || named(key, length, "text") || named(key, length, "prompt"))
                found.prompt_tokens += words(text, p);
        } else if ((*p >= '0' && *p <= '9') || *p == '-') {
            const char *number = p;
            while (p + 1 < end && strchr("0123456789+-.eE", p[1])) p++;
            if (named(key, length, "prompt")) found.prompt_tokens++;
            else if (named(key, length, "max_tokens") || named(key, length, "max_completion_tokens"))
                found.tokens = atol(number);
        } else if (*p == 't') {
            if (named(key, length, "stream")) found.stream = true;
            if (named(key, length, "include_usage")) found.usage = true;
            p += 3;
        }
        p++;
    }
    return found;
}
