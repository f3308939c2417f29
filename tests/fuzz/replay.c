/*
 * Runs a fuzz target over files and folders of files, without libFuzzer:
 * replay PATH... Exit status 1 when something cannot be read or there was no
 * input at all; a broken promise aborts.
 */
#include "base/scope.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_whole(int fd, uint8_t *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, data + done, size - done);
        if (n <= 0)
            return -1;
        done += (size_t)n;
    }
    return 0;
}

static int replay_file(const char *path)
{
    CT_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    CT_AUTO_FREE uint8_t *data = NULL;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    /* not a byte more than the input, so that ASan sees its end */
    data = malloc((size_t)st.st_size);
    if ((data == NULL && st.st_size > 0) ||
        read_whole(fd, data, (size_t)st.st_size) < 0)
        return -1;
    LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
    return 1;
}

static int replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    int count = 0;

    if (folder == NULL)
        return -1;
    while (count >= 0 && (entry = readdir(folder)) != NULL) {
        CT_AUTO_FREE char *file = NULL;
        if (entry->d_name[0] == '.')
            continue;
        if (asprintf(&file, "%s/%s", path, entry->d_name) < 0 ||
            replay_file(file) < 0)
            count = -1;
        else
            count++;
    }
    closedir(folder);
    return count;
}

static int replay(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return -1;
    return S_ISDIR(st.st_mode) ? replay_folder(path) : replay_file(path);
}

int main(int argc, char **argv)
{
    int inputs = 0;

    for (int i = 1; i < argc; i++) {
        int found = replay(argv[i]);
        if (found < 0) {
            perror(argv[i]);
            return EXIT_FAILURE;
        }
        inputs += found;
    }
    printf("%d inputs\n", inputs);
    return inputs > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
