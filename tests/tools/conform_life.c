/*
 * What both interfaces have, of a process from its init to its end: again and
 * again, names, children, forks, aborts, and arguments that are NULL.
 */
#include "conform.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void begin_well(void)
{
    code_good("init", self.api->begin());
}

void finalize_well(void)
{
    code_good("finalize", self.api->finalize());
}

void next_trip(const char *name)
{
    char key[64], buf[64] = "";

    snprintf(key, sizeof key, "%s-%d", name, self.rank);
    code_good(name, self.api->put(key, name));
    code_good(name, self.api->fence());
    snprintf(key, sizeof key, "%s-%d", name, (self.rank + 1) % self.size);
    code_good(name, self.api->get(key, buf, sizeof buf));
    text_is(name, buf, name);
}

/* Of PMI-2 or PMI-1, whichever is there. */
static int count_neighbours(void)
{
    int (*ask)(int *) =
        (int (*)(int *))dlsym(RTLD_DEFAULT, "PMI2_Info_GetSize");
    int count = -1;

    if (ask == NULL)
        ask = (int (*)(int *))dlsym(RTLD_DEFAULT, "PMI_Get_clique_size");
    return ask != NULL && ask(&count) == 0 ? count : -1;
}

/* A second init before finalize is none; one after it is. */
void test_reinit(void)
{
    char map[JOB_SIZE] = "", again[JOB_SIZE] = "";
    int rank, size, count, had_map;

    code_good("first", self.api->begin());
    had_map = self.api->mapping(map, sizeof map);
    count = count_neighbours();
    next_trip("once");
    finalize_well();
    rank = self.rank;
    size = self.size;
    code_good("second", self.api->begin());
    check(self.rank == rank && self.size == size, "facts", "%s",
          self.rank == rank && self.size == size ? "the same" : "others");
    number_is("mapping", self.api->mapping(again, sizeof again), had_map);
    text_is("mapping", again, map);
    number_is("neighbours", count_neighbours(), count);
    next_trip("twice");
    code_good("finalize-second", self.api->finalize());
}

void test_names(void)
{
    const struct conform_api *api = self.api;
    char port[JOB_SIZE] = "", name[300];

    snprintf(name, sizeof name, "conform-%.200s", self.job);
    if (self.rank == 0) {
        code_bad("lookup-before", api->lookup(name, port, sizeof port));
        code_good("publish", api->publish(name, api->port));
        code_any("publish-again", api->publish(name, "other"));
    }
    api->barrier();
    code_good("lookup", api->lookup(name, port, sizeof port));
    tell("lookup", "%s", strcmp(port, api->port) == 0 ? "the first" : port);
    api->barrier();
    if (self.rank == self.size - 1)
        code_any("unpublish-by-other", api->unpublish(name));
    api->barrier();
    if (self.rank == 0) {
        code_any("unpublish", api->unpublish(name));
        code_bad("lookup-after", api->lookup(name, port, sizeof port));
    }
}

/* ---- children ---- */

void test_spawn_bad(void)
{
    if (self.rank == 0)
        code_bad("no-such-program", self.api->spawn_missing());
    self.api->barrier();
}

static void check_words(int argc, char **argv, bool first)
{
    text_is("argv", argv[3], first ? "first" : "second");
    if (!first)
        return;
    check(argc >= 6 && strcmp(argv[4], "a=b") == 0, "argv", "%s", argv[4]);
    /* which Slurm cuts */
    tell("blank", "%s", argc == 6 ? "in a word" : "between words");
}

static void check_preputs(char parent[JOB_SIZE])
{
    char word[JOB_SIZE] = "";

    code_good("parent", self.api->get("conform-parent", parent, JOB_SIZE));
    check(parent[0] != '\0' && strcmp(parent, self.job) != 0, "parent",
          "another");
    code_good("word", self.api->get("conform-word", word, sizeof word));
    text_is("word", word, "a=word");
}

int conform_child(int argc, char **argv)
{
    char parent[JOB_SIZE] = "";
    bool first;

    conform_as("child", argv[2]);
    begin_well();
    number_is("spawned", self.spawned != 0, 1);
    number_is("size", self.size, 3);
    first = self.rank < 2;
    /* Slurm's is -1, or that of a step */
    tell("appnum", "%s",
         self.appnum == (first ? 0 : 1) ? "that of the command" : "another");
    check_words(argc, argv, first);
    check_preputs(parent);
    next_trip("meet");
    if (strcmp(argv[2], "connect") == 0) {
        code_good("connect", self.api->connect(parent));
        code_good("disconnect", self.api->disconnect(parent));
    }
    finalize_well();
    tell("", "%s", self.wrong == 0 ? "ok" : "wrong");
    return self.wrong > 0;
}

/* ---- ends ---- */

void test_abort(void)
{
    begin_well();
    if (self.rank == self.size - 1) {
        self.api->abort();
        check(false, "returns", "it returned");
    }
    code_any("fence", self.api->fence());
    pause();
}

/* A child of fork() says good-bye, which is not its parent's. */
static int ends_in_child(void)
{
    self.api->finalize();
    return 0;
}

void test_fork_finalize(void)
{
    begin_well();
    try_call("child", ends_in_child, false);
    next_trip("the-parent-goes-on");
    finalize_well();
}

/* ---- NULL ---- */

void try_calls(const struct conform_call *calls)
{
    for (; calls->name != NULL; calls++)
        try_call(calls->name, calls->call, calls->bad);
}
