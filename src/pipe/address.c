/* SPDX-License-Identifier: MIT */
/* address.c - see address.h. */
#include "pipe/address.h"

#include "call/error.h"

#include <string.h>

enum { HOST_MOST = 255 };

static int refuse(const char *text, const char *why)
{
    return brood__fail_with(BROOD_EINVAL, "address \"%.100s\": %s", text, why);
}

/* One that is there as soon as it fits. */
static int one(int error, const char *text)
{
    return error < 0 ? brood__fail_with(error, "address \"%.100s\": %s", text, brood_strerror(error)) : 1;
}

static bool is_port(const char *text)
{
    unsigned port = 0;
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || length > 5) return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return length > 0 && port <= 65535;
}

/* Split "host:port" or "[host]:port"; what is wrong with it, or NULL. */
static const char *split(const char *text, char host[HOST_MOST + 1], const char **port)
{
    const char *colon = strrchr(text, ':'), *start = text, *end = colon;
    if (!colon) return "neither a path (with a slash), nor @name, nor host:port";
    if (text[0] == '[') {
        start++;
        end--;
        if (end <= start || *end != ']') return "an address in brackets and a port are [address]:port";
    } else if (memchr(text, ':', (size_t)(colon - text))) {
        return "an address with colons needs brackets: [address]:port";
    }
    if (!is_port(colon + 1)) return "a port is a number from 0 to 65535";
    if (end - start > HOST_MOST) return "the host's name is too long";
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = 0;
    *port = colon + 1;
    return NULL;
}

int brood__address_parse(struct os_address *addresses, size_t room, const char *text, bool listening)
{
    char host[HOST_MOST + 1];
    const char *port;
    if (!text || !text[0]) return refuse("", "it is empty");
    if (text[0] == '@') return one(brood__os_address_of_name(addresses, text + 1, strlen(text + 1)), text);
    if (strncmp(text, "unix:", 5) == 0) return one(brood__os_address_of_path(addresses, text + 5), text);
    if (strchr(text, '/')) return one(brood__os_address_of_path(addresses, text), text);

    const char *why = split(text, host, &port);
    if (why) return refuse(text, why);
    if (!listening && !host[0]) return refuse(text, "which host?");
    if (!listening && strspn(port, "0") == strlen(port)) return refuse(text, "nobody listens on port 0");
    int count = brood__os_address_of_host(addresses, room, host[0] ? host : NULL, port, listening);
    if (count == -ENOENT) return brood__fail_with(count, "no such host: %.100s", host);
    return count < 0 ? brood__fail_with(count, "host %.100s: %s", host, brood_strerror(count)) : count;
}
