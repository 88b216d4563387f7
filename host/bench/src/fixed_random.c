// The randomness of programs whose instructions are counted: the same bytes in the same order in each run.
#include <stddef.h>
#include <sys/types.h>

static unsigned char next;

ssize_t getrandom(void *bytes, size_t length, unsigned flags) {
    (void)flags;
    for (size_t at = 0; at < length; at++)
        ((unsigned char *)bytes)[at] = next += 37;
    return (ssize_t)length;
}

int getentropy(void *bytes, size_t length) {
    getrandom(bytes, length, 0);
    return 0;
}
