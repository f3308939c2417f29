/*
 * In this order, because each step hides something that those before it need:
 *
 *   1. clone every source of the host as a detached tree, with its flags;
 *   2. put a small tmpfs, the stage, over a directory of the host;
 *   3. attach the image there, and see which targets it lacks;
 *   4. if it lacks any, or must be writable, lay an overlay over it whose upper
 *      layers (the skeleton, the writable one) are directories of the stage;
 *   5. attach the sources to their targets, resolved inside the new root;
 *   6. make it "/" and let go of the host.
 *
 * The namespace is private to us, so what fails half-way goes with the process.
 */
#include "container/template.h"

#include "base/scope.h"
#include "container/fuse.h"
#include "container/kernel.h"
#include "container/skeleton.h"

#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

struct build {
    const struct plan *plan;
    int *trees; /* [mount_count] detached sources, -1: none (yet) */
    int libraries[PLAN_PMI_LIBRARIES]; /* detached, to stay so; -1 */
    int image;                         /* detached, then where it is attached */
    int root;                          /* what becomes "/" */
    pid_t fuse_pid;
    struct ct_error *err;
};

static const char *const stages[] = {"/tmp", "/var", "/mnt", "/usr", NULL};

static int check_kernel(struct ct_error *reterr)
{
    if (syscall(KERNEL_NR_MOUNT_SETATTR, -1, "", 0, NULL, 0) < 0 &&
        errno == ENOSYS)
        return ct_fail(reterr, ENOSYS,
                       "this kernel is older than Linux 5.12, which containers "
                       "need (or its system calls are filtered; "
                       "--no-container works)");
    return 0;
}

/* 1 */
static int clone_source(const struct mount *m, struct ct_error *reterr)
{
    uint64_t attr = KERNEL_ATTR_NOSUID | (m->devices ? 0 : KERNEL_ATTR_NODEV) |
                    (m->readonly ? KERNEL_ATTR_RDONLY : 0);
    CT_AUTO_FD int tree = kernel_clone_tree(AT_FDCWD, m->source);

    if (tree < 0)
        return ct_fail_errno(reterr, "cannot bind %.200s", m->source);
    if (kernel_mount_setattr(tree, attr, 0) < 0)
        return ct_fail_errno(reterr, "cannot set the mount flags of %.200s",
                             m->source);
    return ct_steal_fd(&tree);
}

/*
 * What may take the place of the image's, once it is known what that has. One
 * that cannot be had is missed if it is wanted.
 */
static int clone_libraries(struct build *b)
{
    for (size_t i = 0; i < PLAN_PMI_LIBRARIES; i++) {
        CT_AUTO_FREE char *path = NULL;

        if (b->plan->pmi_dir == NULL)
            continue;
        if (asprintf(&path, "%s/%s", b->plan->pmi_dir, plan_pmi_libraries[i]) <
            0) {
            path = NULL;
            return ct_fail_nomem(b->err);
        }
        b->libraries[i] = clone_source(
            &(struct mount){.source = path, .readonly = true}, NULL);
    }
    return 0;
}

static int clone_sources(struct build *b)
{
    for (size_t i = 0; i < b->plan->mount_count; i++) {
        const struct mount *m = &b->plan->mounts[i];
        if (m->kind != MOUNT_BIND)
            continue;
        b->trees[i] = clone_source(m, b->err);
        if (b->trees[i] < 0 && !m->optional)
            return -1;
    }
    return 0;
}

/*
 * The image was opened before this namespace was made, and the kernel clones
 * only what is mounted in the caller's own: look it up again, and make sure.
 */
static int clone_directory(const struct plan *plan, struct ct_error *reterr)
{
    struct stat opened, found;
    CT_AUTO_FD int tree = kernel_clone_tree(AT_FDCWD, plan->image_path);

    if (tree < 0 || fstat(tree, &found) < 0 ||
        fstat(plan->image.fd, &opened) < 0)
        return ct_fail_errno(reterr, "cannot bind the image %.200s",
                             plan->image_path);
    if (found.st_dev != opened.st_dev || found.st_ino != opened.st_ino)
        return ct_fail(reterr, ESTALE, "the image %.200s has been replaced",
                       plan->image_path);
    if (kernel_mount_setattr(
            tree, KERNEL_ATTR_RDONLY | KERNEL_ATTR_NOSUID | KERNEL_ATTR_NODEV,
            0) < 0)
        return ct_fail_errno(reterr, "cannot make the image read-only");
    return ct_steal_fd(&tree);
}

static int open_image(struct build *b)
{
    if (b->plan->image.kind == IMAGE_DIRECTORY)
        b->image = clone_directory(b->plan, b->err);
    else if (fuse_mount_image(&b->plan->image, b->plan->image_path, &b->image,
                              &b->fuse_pid, b->err) < 0)
        b->image = -1;
    return b->image < 0 ? -1 : 0;
}

/* 2: the stage is the working directory from here on. */
static int enter_stage(struct ct_error *reterr)
{
    static const char *const dirs[] = {"image", "skel", "upper",
                                       "work",  "root", "files"};

    for (const char *const *stage = stages; *stage != NULL; stage++) {
        if (mount("ctrun", *stage, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") <
            0)
            continue;
        if (chdir(*stage) < 0)
            break;
        for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
            if (mkdir(dirs[i], 0755) < 0)
                return ct_fail_errno(reterr, "mkdir in the stage");
        return 0;
    }
    return ct_fail_errno(reterr, "cannot mount a tmpfs to build the root on");
}

/* 3: the first request that FUSE answers; nothing else tells that it is up. */
static int attach_image(struct build *b)
{
    struct stat st;
    CT_AUTO_FD int target = open("image", O_PATH | O_CLOEXEC);

    if (target < 0 || kernel_attach(b->image, target) < 0)
        return ct_fail_errno(b->err, "cannot attach the image");
    if (fstatat(b->image, "", &st, AT_EMPTY_PATH) < 0 ||
        faccessat(b->image, ".", R_OK | X_OK, 0) < 0)
        return ct_fail_errno(b->err, "cannot read the image's root directory");
    return 0;
}

/* The mount that shows what is at the target; NULL: the image does. */
static const struct mount *earlier_around(const struct build *b, size_t index)
{
    const char *target = b->plan->mounts[index].target;
    const struct mount *around = NULL;

    for (size_t i = 0; i < index; i++) {
        const struct mount *m = &b->plan->mounts[i];
        size_t len = strlen(m->target);
        bool there = m->kind == MOUNT_SCRATCH || b->trees[i] >= 0;
        if (there && strncmp(target, m->target, len) == 0 && target[len] == '/')
            around = m;
    }
    return around;
}

static bool source_is_directory(const struct build *b, size_t index)
{
    struct stat st;

    if (b->plan->mounts[index].kind == MOUNT_SCRATCH)
        return true;
    return fstatat(b->trees[index], "", &st, AT_EMPTY_PATH) == 0 &&
           S_ISDIR(st.st_mode);
}

/* 3: passwd and group with the user's line, where the image lacks it. */
static int make_files(struct build *b)
{
    for (size_t i = 0; i < b->plan->mount_count; i++) {
        const struct mount *m = &b->plan->mounts[i];
        if (m->kind != MOUNT_APPEND)
            continue;
        if (skeleton_append(b->image, m, (unsigned)i, &b->trees[i], b->err) < 0)
            return -1;
    }
    return 0;
}

/* 4: how many of the targets the skeleton had to make. */
static int make_skeleton(struct build *b, unsigned *ret_made)
{
    *ret_made = 0;
    for (size_t i = 0; i < b->plan->mount_count; i++) {
        const struct mount *m = &b->plan->mounts[i];
        bool wanted = m->kind == MOUNT_SCRATCH || b->trees[i] >= 0;
        int made;
        /* What an earlier one shows is no matter of the skeleton's. */
        if (!wanted || earlier_around(b, i) != NULL)
            continue;
        made = skeleton_add(b->image, m->target, source_is_directory(b, i),
                            b->err);
        if (made < 0)
            return -1;
        *ret_made += (unsigned)made;
    }
    return 0;
}

static int mount_overlay(const struct build *b, bool skeleton,
                         struct ct_error *reterr)
{
    char options[160];
    unsigned long flags = MS_NOSUID | MS_NODEV;
    const char *lower = skeleton ? "skel:image" : "image";

    if (b->plan->writable_tmpfs) {
        snprintf(options, sizeof options,
                 "lowerdir=%s,upperdir=upper,workdir=work,userxattr", lower);
    } else {
        snprintf(options, sizeof options, "lowerdir=%s,userxattr", lower);
        flags |= MS_RDONLY;
    }
    if (mount("overlay", "root", "overlay", flags, options) < 0)
        return ct_fail_errno(reterr, "cannot mount an overlay on the image");
    return 0;
}

static int open_root(const char *dir, struct ct_error *reterr)
{
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 ? fd : ct_fail_errno(reterr, "cannot open the new root");
}

/*
 * 4. An image that lacks nothing is used as it is. Where overlays cannot be had
 * (a FUSE file system of some kernels), only what must be there is missed.
 */
static int choose_root(struct build *b)
{
    unsigned made;

    if (make_skeleton(b, &made) < 0)
        return -1;
    b->root = -1;
    if (made > 0 || b->plan->writable_tmpfs) {
        if (mount_overlay(b, made > 0, b->err) == 0)
            b->root = open_root("root", b->err);
        else if (b->plan->writable_tmpfs)
            return -1;
    }
    if (b->root < 0)
        b->root = open_root("image", b->err);
    return b->root < 0 ? -1 : 0;
}

/* The kernel has one word, EINVAL, for all that does not fit. */
static bool kinds_differ(int source, int target)
{
    struct stat a, b;

    return fstatat(source, "", &a, AT_EMPTY_PATH) == 0 &&
           fstatat(target, "", &b, AT_EMPTY_PATH) == 0 &&
           S_ISDIR(a.st_mode) != S_ISDIR(b.st_mode);
}

static int explain_attach(const struct mount *m, bool differ,
                          struct ct_error *reterr)
{
    const char *source = m->kind == MOUNT_BIND ? m->source : "a file";

    if (differ)
        return ct_fail(reterr, ENOTDIR,
                       "cannot bind %.100s to %.100s: one is a directory, the "
                       "other is not",
                       source, m->target);
    return ct_fail_errno(reterr, "cannot bind %.100s to %.100s", source,
                         m->target);
}

static int explain_target(const struct build *b, size_t index)
{
    const char *target = b->plan->mounts[index].target;
    const struct mount *around = earlier_around(b, index);

    if (errno == ENOENT && around != NULL && around->kind == MOUNT_BIND)
        return ct_fail(b->err, ENOENT,
                       "cannot mount on %.150s: %.100s is bound there, where "
                       "it has to be made first",
                       target, around->source);
    return ct_fail_errno(b->err, "cannot mount on %.150s in the image", target);
}

/* A rank mounts its own; that it can is seen once. */
static int check_scratch(const struct build *b, size_t index)
{
    const struct mount *around = earlier_around(b, index);
    CT_AUTO_FD int target = -1;

    if (around == NULL || around->kind != MOUNT_BIND)
        return 0;
    target =
        kernel_open_in_root(b->root, b->plan->mounts[index].target, O_PATH);
    return target >= 0 ? 0 : explain_target(b, index);
}

/* 5 */
static int attach_source(const struct build *b, size_t index)
{
    const struct mount *m = &b->plan->mounts[index];
    CT_AUTO_FD int target = kernel_open_in_root(b->root, m->target, O_PATH);

    if (target < 0)
        return explain_target(b, index);
    if (kernel_attach(b->trees[index], target) < 0)
        return explain_attach(
            m, errno == EINVAL && kinds_differ(b->trees[index], target),
            b->err);
    return 0;
}

static int attach_sources(const struct build *b)
{
    for (size_t i = 0; i < b->plan->mount_count; i++) {
        const struct mount *m = &b->plan->mounts[i];
        if (m->kind == MOUNT_SCRATCH && check_scratch(b, i) < 0)
            return -1;
        if (b->trees[i] >= 0 && attach_source(b, i) < 0 && !m->optional)
            return -1;
    }
    return 0;
}

/* 6 */
static int pivot(int root, struct ct_error *reterr)
{
    if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
        umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return ct_fail_errno(reterr, "cannot make the image the root");
    return 0;
}

static int build(struct build *b)
{
    if (clone_sources(b) < 0 || clone_libraries(b) < 0 || open_image(b) < 0 ||
        enter_stage(b->err) < 0 || attach_image(b) < 0 || make_files(b) < 0 ||
        choose_root(b) < 0 || attach_sources(b) < 0)
        return -1;
    return pivot(b->root, b->err);
}

int template_build(const struct plan *plan, struct template *ret,
                   struct ct_error *reterr)
{
    struct build b = {.plan = plan,
                      .libraries = {-1, -1},
                      .image = -1,
                      .root = -1,
                      .err = reterr};
    CT_AUTO_FD int mntns = -1;
    int rc = -1;

    if (check_kernel(reterr) < 0)
        return -1;
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return ct_fail_errno(reterr, "cannot part with the host's mounts");
    b.trees = malloc((plan->mount_count + 1) * sizeof *b.trees);
    if (b.trees == NULL)
        return ct_fail_nomem(reterr);
    for (size_t i = 0; i < plan->mount_count; i++)
        b.trees[i] = -1;
    mntns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (mntns < 0)
        ct_fail_errno(reterr, "cannot open /proc/self/ns/mnt");
    else
        rc = build(&b);
    for (size_t i = 0; i < plan->mount_count; i++)
        ct_close(&b.trees[i]);
    free(b.trees);
    ct_close(&b.image);
    ct_close(&b.root);
    if (rc == 0)
        *ret = (struct template){ct_steal_fd(&mntns), b.fuse_pid, {-1, -1}};
    for (size_t i = 0; i < PLAN_PMI_LIBRARIES; i++)
        if (rc == 0)
            ret->libraries[i] = b.libraries[i];
        else
            ct_close(&b.libraries[i]);
    return rc;
}

/* The file's name tells which. */
static int *find_library(struct template *template, const char *target)
{
    const char *slash = strrchr(target, '/');
    const char *name = slash != NULL ? slash + 1 : target;

    for (size_t i = 0; i < PLAN_PMI_LIBRARIES; i++)
        if (strcmp(name, plan_pmi_libraries[i]) == 0)
            return &template->libraries[i];
    return NULL;
}

/* A tree can be attached once, and can be cloned when it is. */
static int attach_library(int *library, int target, struct ct_error *reterr)
{
    int next;

    if (kernel_attach(*library, target) < 0)
        return ct_fail_errno(reterr, "cannot bind it");
    next = kernel_clone_tree(*library, "");
    if (next < 0)
        return ct_fail_errno(reterr, "cannot clone it");
    ct_close(library);
    *library = next;
    return 0;
}

int template_cover(struct template *template, const char *target,
                   struct ct_error *reterr)
{
    int *library = find_library(template, target);
    CT_AUTO_FD int root = open_root("/", reterr);
    CT_AUTO_FD int file = -1;

    if (root < 0)
        return -1;
    if (library == NULL || *library < 0)
        return ct_fail(reterr, ENOENT, "the host has nothing for %.200s",
                       target);
    file = kernel_open_in_root(root, target, O_PATH);
    if (file < 0)
        return ct_fail_errno(reterr, "cannot find %.200s in the image", target);
    if (attach_library(library, file, reterr) < 0)
        return ct_fail_in(reterr, "%.200s", target);
    return 0;
}
