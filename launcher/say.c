#include "launcher/say.h"

#include "host/task.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

extern char **environ;

/* One write() a line, so that lines of other programs do not come between. */
void say(int verbosity, int level, const char *fmt, ...)
{
    char line[1024] = "ctrun: ";
    int head = 7, len;
    va_list ap;

    if (level > verbosity && level >= 0)
        return;
    va_start(ap, fmt);
    len = vsnprintf(line + head, sizeof line - (size_t)head - 1, fmt, ap);
    va_end(ap);
    if (len < 0)
        return;
    len += head;
    if (len > (int)sizeof line - 2)
        len = (int)sizeof line - 2;
    line[len] = '\n';
    if (write(STDERR_FILENO, line, (size_t)len + 1) < 0)
        return; /* there is nobody else to tell */
}

bool is_one_of_many(void)
{
    struct host_task task;

    return host_task_find(environ, &task) && task.rank > 0;
}

bool is_first_of_node(void)
{
    struct host_task task;

    return !host_task_find(environ, &task) || task.local == 0;
}
