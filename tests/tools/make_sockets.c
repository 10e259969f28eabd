/* Makes sockets, which no shell can: make_sockets NAME... in the present folder. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        const int s = socket(AF_UNIX, SOCK_STREAM, 0);
        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", argv[i]);
        if (s < 0 || strlen(argv[i]) >= sizeof address.sun_path || bind(s, (const struct sockaddr *)&address, sizeof address) != 0) {
            perror(argv[i]);
            return 1;
        }
        (void)close(s);
    }
    return 0;
}
