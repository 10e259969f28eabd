/* Runs a fuzz target over files and folders of files, so that every crash file is a regression test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path, size_t *count) {
    struct stat info;
    if (stat(path, &info) != 0) {
        perror(path);
        return 1;
    }
    if (S_ISDIR(info.st_mode)) {
        DIR *dir = opendir(path);
        int failed = dir == NULL;
        for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
            if (entry->d_name[0] != '.') {
                char child[4096];
                (void)snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
                failed |= replay(child, count);
            }
        }
        if (dir != NULL) {
            (void)closedir(dir);
        }
        return failed;
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    uint8_t *data = malloc(info.st_size > 0 ? (size_t)info.st_size : 1);
    const size_t size = data == NULL ? 0 : fread(data, 1, (size_t)info.st_size, file);
    (void)fclose(file);
    if (data != NULL) {
        (void)LLVMFuzzerTestOneInput(data, size);
        (*count)++;
    }
    free(data);
    return 0;
}

int main(int argc, char **argv) {
    size_t count = 0;
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        failed |= replay(argv[i], &count);
    }
    (void)printf("%zu inputs\n", count);
    return failed;
}
