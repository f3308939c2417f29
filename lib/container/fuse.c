/*
 * The kernel hands requests to whoever holds the /dev/fuse file that a mount
 * was made with. That file must be opened in the user namespace that mounts, so
 * the zygote opens it there, makes the mount with the new mount API (no
 * fusermount, no path to mount on) and forks the child that serves it. libfuse
 * takes the ready file as a mount point named /dev/fd/N.
 */
#include "container/fuse.h"

#include "base/scope.h"
#include "container/kernel.h"
#include "container/namespace.h"
#include "lazy/squashfuse.h"

#ifdef HAVE_LIBDEFLATE
#include "lazy/libdeflate.h"
#endif

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

struct server {
    sqfs_ll ll;   /* first: squashfuse takes a server for its sqfs_ll */
    char *buffer; /* for what is read */
    size_t room;
};

/* An image does not change: what the kernel was told holds for ever. */
static const double for_ever = 1e9;

/*
 * All files are the user's, as with Apptainer: the ids of the image are not
 * mapped in an ordinary user's namespace, and what belongs to none of its ids
 * cannot be changed under --writable-tmpfs.
 */
static sqfs_err read_owner(sqfs *fs, const sqfs_inode *inode, struct stat *st)
{
    sqfs_err err;

    st->st_uid = geteuid();
    st->st_gid = getegid();
    if (st->st_uid != 0)
        return SQFS_OK;
    err = sqfs_id_get(fs, inode->base.uid, &st->st_uid);
    return err == SQFS_OK ? sqfs_id_get(fs, inode->base.guid, &st->st_gid)
                          : err;
}

static sqfs_err read_stat(sqfs *fs, const sqfs_inode *inode, struct stat *st)
{
    memset(st, 0, sizeof *st);
    st->st_mode = inode->base.mode | sqfs_mode(inode->base.inode_type);
    st->st_nlink = (nlink_t)inode->nlink;
    st->st_mtime = st->st_ctime = st->st_atime = inode->base.mtime;
    if (S_ISREG(st->st_mode))
        st->st_size = (off_t)inode->xtra.reg.file_size;
    else if (S_ISDIR(st->st_mode))
        st->st_size = inode->xtra.dir.dir_size;
    else if (S_ISLNK(st->st_mode))
        st->st_size = (off_t)inode->xtra.symlink_size;
    else
        st->st_rdev = makedev((unsigned)inode->xtra.dev.major,
                              (unsigned)inode->xtra.dev.minor);
    st->st_blksize = (blksize_t)fs->sb.block_size;
    st->st_blocks = (st->st_size + 511) / 512;
    return read_owner(fs, inode, st);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino,
                       struct fuse_file_info *fi)
{
    sqfs_ll_i at;
    struct stat st;

    (void)fi;
    if (sqfs_ll_iget(req, &at, ino) != SQFS_OK)
        return; /* it has replied */
    if (read_stat(&at.ll->fs, &at.inode, &st) != SQFS_OK) {
        fuse_reply_err(req, EIO);
        return;
    }
    st.st_ino = ino;
    fuse_reply_attr(req, &st, for_ever);
}

/* 0 when there is no such name: that is remembered, too. */
static sqfs_err find_entry(sqfs_ll *ll, sqfs_inode *dir, const char *name,
                           struct fuse_entry_param *ret)
{
    sqfs_name buf;
    sqfs_dir_entry entry;
    sqfs_inode inode;
    bool found = false;
    sqfs_err err;

    memset(ret, 0, sizeof *ret);
    ret->entry_timeout = ret->attr_timeout = for_ever;
    sqfs_dentry_init(&entry, buf);
    err = sqfs_dir_lookup(&ll->fs, dir, name, strlen(name), &entry, &found);
    if (err != SQFS_OK || !found)
        return err;
    err = sqfs_inode_get(&ll->fs, &inode, sqfs_dentry_inode(&entry));
    if (err == SQFS_OK)
        err = read_stat(&ll->fs, &inode, &ret->attr);
    if (err != SQFS_OK)
        return err;
    ret->ino = ll->ino_register(ll, &entry);
    ret->attr.st_ino = ret->ino;
    return ret->ino != SQFS_FUSE_INODE_NONE ? SQFS_OK : SQFS_ERR;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry;
    sqfs_ll_i at;

    if (sqfs_ll_iget(req, &at, parent) != SQFS_OK)
        return;
    if (!S_ISDIR(at.inode.base.mode | sqfs_mode(at.inode.base.inode_type)))
        fuse_reply_err(req, ENOTDIR);
    else if (find_entry(at.ll, &at.inode, name, &entry) != SQFS_OK)
        fuse_reply_err(req, EIO);
    else
        fuse_reply_entry(req, &entry);
}

/*
 * A handler that refuses with ENOSYS, or is not there, is asked once: then the
 * kernel opens files by itself, or knows that nothing has such attributes.
 */
static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    (void)fi;
    fuse_reply_err(req, ENOSYS);
}

static int make_room(struct server *server, size_t size)
{
    char *grown;

    if (size <= server->room)
        return 0;
    grown = realloc(server->buffer, size);
    if (grown == NULL)
        return -1;
    server->buffer = grown;
    server->room = size;
    return 0;
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *fi)
{
    struct server *server = fuse_req_userdata(req);
    sqfs_off_t len = (sqfs_off_t)size;
    sqfs_ll_i at;

    (void)fi;
    if (sqfs_ll_iget(req, &at, ino) != SQFS_OK)
        return;
    if (make_room(server, size) < 0)
        fuse_reply_err(req, ENOMEM);
    else if (sqfs_read_range(&server->ll.fs, &at.inode, offset, &len,
                             server->buffer) != SQFS_OK)
        fuse_reply_err(req, EIO);
    else
        fuse_reply_buf(req, server->buffer, (size_t)len);
}

static struct fuse_lowlevel_ops list_operations(const sqfs *fs)
{
    bool xattr = fs->sb.xattr_id_table_start != (uint64_t)SQUASHFS_INVALID_BLK;

    return (struct fuse_lowlevel_ops){
        .getattr = on_getattr,
        .opendir = sqfs_ll_op_opendir,
        .releasedir = sqfs_ll_op_releasedir,
        .readdir = sqfs_ll_op_readdir,
        .lookup = on_lookup,
        .open = on_open,
        .read = on_read,
        .readlink = sqfs_ll_op_readlink,
        .listxattr = xattr ? sqfs_ll_op_listxattr : NULL,
        .getxattr = xattr ? sqfs_ll_op_getxattr : NULL,
        .forget = sqfs_ll_op_forget,
        .statfs = stfs_ll_op_statfs,
    };
}

static int open_device(struct ct_error *reterr)
{
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        ct_fail_errno(reterr,
                      "cannot open /dev/fuse, which mounting an image file "
                      "needs (ask for FUSE, or unpack the image and name the "
                      "directory)");
        if (reterr != NULL)
            reterr->code = ENOTSUP;
    }
    return fd;
}

/*
 * squashfuse 0.1 keeps a single unpacked block of data, and eight of those that
 * tell of files. The kernel reads pages around a fault, wherever blocks begin,
 * ranks that start together fault in the same libraries, and ld.so looks for
 * each in many places: most blocks were unpacked twice or more.
 */
enum {
    DATA_ROOM = 4 << 20, /* bytes; blocks have 4 KiB to 1 MiB, see squash.h */
    METADATA_BLOCKS = 64 /* of 8 KiB */
};

static sqfs_err resize_cache(sqfs_cache *cache, size_t blocks)
{
    sqfs_cache_destroy(cache);
    return sqfs_block_cache_init(cache, blocks);
}

static sqfs_err enlarge_caches(sqfs *fs)
{
    sqfs_err err = resize_cache(&fs->data_cache, DATA_ROOM / fs->sb.block_size);

    return err == SQFS_OK ? resize_cache(&fs->md_cache, METADATA_BLOCKS) : err;
}

#ifdef HAVE_LIBDEFLATE
static sqfs_err unpack_zlib(void *in, size_t in_size, void *out,
                            size_t *out_size)
{
    struct libdeflate_decompressor *unpacker = libdeflate_alloc_decompressor();
    enum libdeflate_result result;

    if (unpacker == NULL)
        return SQFS_ERR;
    result = libdeflate_zlib_decompress(unpacker, in, in_size, out, *out_size,
                                        out_size);
    libdeflate_free_decompressor(unpacker);
    return result == LIBDEFLATE_SUCCESS ? SQFS_OK : SQFS_ERR;
}

/* Where zlib has packed, libdeflate needs less than half of zlib's time. */
static void choose_unpacker(sqfs *fs)
{
    if (fs->sb.compression == ZLIB_COMPRESSION &&
        lazy_libdeflate_load(NULL) == 0)
        fs->decompressor = unpack_zlib;
}
#else
static void choose_unpacker(sqfs *fs)
{
    (void)fs;
}
#endif

static int open_squashfs(const struct image *image, sqfs_ll *ll,
                         struct ct_error *reterr)
{
    sqfs_err err = sqfs_init(&ll->fs, image->fd, image->offset);

    if (err == SQFS_OK)
        err = enlarge_caches(&ll->fs);
    if (err == SQFS_OK)
        err = sqfs_ll_init(ll);
    switch (err) {
    case SQFS_OK:
        choose_unpacker(&ll->fs);
        return 0;
    case SQFS_BADCOMP:
        return ct_fail(reterr, ENOTSUP,
                       "this build's squashfuse cannot unpack %s (rebuild the "
                       "image with mksquashfs -comp gzip or zstd)",
                       image->compressor);
    default:
        return ct_fail(reterr, EBADMSG, "the squashfs file system is broken");
    }
}

/*
 * The mount itself; the kernel's first request waits until somebody reads. The
 * file system is read-only, not only the mount: else the kernel asks for the
 * time of the last access after each read.
 */
static int make_mount(int device, const char *name, struct ct_error *reterr)
{
    char fd[16], uid[16], gid[16];
    CT_AUTO_FD int fs = kernel_fsopen("fuse");
    int mount;

    if (fs < 0) {
        return ct_fail_errno(reterr, "fsopen(fuse)");
    }
    snprintf(fd, sizeof fd, "%d", device);
    snprintf(uid, sizeof uid, "%u", (unsigned)getuid());
    snprintf(gid, sizeof gid, "%u", (unsigned)getgid());
    /* The name is for people only, and the kernel limits its length. */
    kernel_fsconfig_set(fs, "source", name);
    if (kernel_fsconfig_set(fs, "fd", fd) < 0 ||
        kernel_fsconfig_set(fs, "rootmode", "40000") < 0 ||
        kernel_fsconfig_set(fs, "user_id", uid) < 0 ||
        kernel_fsconfig_set(fs, "group_id", gid) < 0 ||
        kernel_fsconfig_set(fs, "allow_other", NULL) < 0 ||
        kernel_fsconfig_set(fs, "ro", NULL) < 0)
        return ct_fail_errno(reterr, "fsconfig(fuse)");
    mount = kernel_fsmount(fs, KERNEL_ATTR_RDONLY | KERNEL_ATTR_NOSUID |
                                   KERNEL_ATTR_NODEV);
    if (mount < 0)
        return ct_fail_errno(reterr, "mounting through FUSE");
    return mount;
}

enum { DEVICE_FD = 3, IMAGE_FD = 4 };

/*
 * Whatever an image makes of us: the device and the image, stderr for last
 * words, and no privilege. Nor can ranks, which have our user, take these.
 */
static int confine(int device, sqfs_ll *ll)
{
    if (dup2(device, DEVICE_FD) < 0 || dup2(ll->fs.fd, IMAGE_FD) < 0 ||
        kernel_close_from(IMAGE_FD + 1) < 0 || chdir("/") < 0)
        return -1;
    ll->fs.fd = IMAGE_FD;
    if (namespace_drop_capabilities() < 0)
        return -1;
    return prctl(PR_SET_DUMPABLE, 0);
}

/*
 * Serve until the mount is gone or the parent is. Never returns. What is sent
 * to end a job must not take the file system away from ranks that still end.
 */
static void serve(int device, struct server *server, pid_t parent)
{
    static const int deaf_to[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    const struct fuse_lowlevel_ops operations = list_operations(&server->ll.fs);
    char *argv[] = {(char *)"ctrun", NULL};
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    struct fuse_session *session;
    char point[32];

    for (size_t i = 0; i < sizeof deaf_to / sizeof deaf_to[0]; i++)
        signal(deaf_to[i], SIG_IGN);
    if (confine(device, &server->ll) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(1);
    prctl(PR_SET_NAME, "ctrun-fuse");
    session = fuse_session_new(&args, &operations, sizeof operations, server);
    snprintf(point, sizeof point, "/dev/fd/%d", DEVICE_FD);
    if (session == NULL || fuse_session_mount(session, point) < 0)
        _exit(1);
    _exit(fuse_session_loop(session) == 0 ? 0 : 1);
}

int fuse_mount_image(const struct image *image, const char *name, int *ret_fd,
                     pid_t *ret_pid, struct ct_error *reterr)
{
    struct server server = {0};
    pid_t parent = getpid(), pid;
    CT_AUTO_FD int device = open_device(reterr);
    CT_AUTO_FD int mount = -1;

    if (device < 0 || lazy_squashfuse_load(reterr) < 0)
        return -1;
    if (open_squashfs(image, &server.ll, reterr) < 0)
        return -1;
    mount = make_mount(device, name, reterr);
    if (mount >= 0) {
        pid = fork();
        if (pid == 0) {
            ct_close(&mount);
            serve(device, &server, parent);
        }
        if (pid < 0)
            ct_fail_errno(reterr, "fork");
    } else {
        pid = -1;
    }
    sqfs_ll_destroy(&server.ll);
    if (pid < 0)
        return -1;
    *ret_fd = ct_steal_fd(&mount);
    *ret_pid = pid;
    return 0;
}
