/*
 * squashfuse's low-level library and, through it, libfuse: see lazy/library.h.
 */
#ifndef CT_LAZY_SQUASHFUSE_H
#define CT_LAZY_SQUASHFUSE_H

#include "lazy/library.h"

#include <squashfuse/ll.h>

/* For libfuse 3.17 this is an inline function; what older ones have is there.
 */
#undef fuse_session_new
struct fuse_session *fuse_session_new(struct fuse_args *args,
                                      const struct fuse_lowlevel_ops *op,
                                      size_t op_size, void *userdata);

#define LAZY_SQUASHFUSE(X)                                                     \
    X(sqfs_block_cache_init)                                                   \
    X(sqfs_cache_destroy)                                                      \
    X(sqfs_dentry_init)                                                        \
    X(sqfs_dentry_inode)                                                       \
    X(sqfs_dir_lookup)                                                         \
    X(sqfs_id_get)                                                             \
    X(sqfs_init)                                                               \
    X(sqfs_inode_get)                                                          \
    X(sqfs_ll_destroy)                                                         \
    X(sqfs_ll_iget)                                                            \
    X(sqfs_ll_init)                                                            \
    X(sqfs_ll_op_forget)                                                       \
    X(sqfs_ll_op_getxattr)                                                     \
    X(sqfs_ll_op_listxattr)                                                    \
    X(sqfs_ll_op_opendir)                                                      \
    X(sqfs_ll_op_readdir)                                                      \
    X(sqfs_ll_op_readlink)                                                     \
    X(sqfs_ll_op_releasedir)                                                   \
    X(sqfs_mode)                                                               \
    X(sqfs_read_range)                                                         \
    X(stfs_ll_op_statfs)                                                       \
    X(fuse_reply_attr)                                                         \
    X(fuse_reply_buf)                                                          \
    X(fuse_reply_entry)                                                        \
    X(fuse_reply_err)                                                          \
    X(fuse_req_userdata)                                                       \
    X(fuse_session_loop)                                                       \
    X(fuse_session_mount)                                                      \
    X(fuse_session_new)

struct lazy_squashfuse {
    LAZY_SQUASHFUSE(LAZY_MEMBER)
};

extern struct lazy_squashfuse lazy_squashfuse;

int lazy_squashfuse_load(struct ct_error *reterr);

#define sqfs_block_cache_init lazy_squashfuse.sqfs_block_cache_init
#define sqfs_cache_destroy lazy_squashfuse.sqfs_cache_destroy
#define sqfs_dentry_init lazy_squashfuse.sqfs_dentry_init
#define sqfs_dentry_inode lazy_squashfuse.sqfs_dentry_inode
#define sqfs_dir_lookup lazy_squashfuse.sqfs_dir_lookup
#define sqfs_id_get lazy_squashfuse.sqfs_id_get
#define sqfs_init lazy_squashfuse.sqfs_init
#define sqfs_inode_get lazy_squashfuse.sqfs_inode_get
#define sqfs_ll_destroy lazy_squashfuse.sqfs_ll_destroy
#define sqfs_ll_iget lazy_squashfuse.sqfs_ll_iget
#define sqfs_ll_init lazy_squashfuse.sqfs_ll_init
#define sqfs_ll_op_forget lazy_squashfuse.sqfs_ll_op_forget
#define sqfs_ll_op_getxattr lazy_squashfuse.sqfs_ll_op_getxattr
#define sqfs_ll_op_listxattr lazy_squashfuse.sqfs_ll_op_listxattr
#define sqfs_ll_op_opendir lazy_squashfuse.sqfs_ll_op_opendir
#define sqfs_ll_op_readdir lazy_squashfuse.sqfs_ll_op_readdir
#define sqfs_ll_op_readlink lazy_squashfuse.sqfs_ll_op_readlink
#define sqfs_ll_op_releasedir lazy_squashfuse.sqfs_ll_op_releasedir
#define sqfs_mode lazy_squashfuse.sqfs_mode
#define sqfs_read_range lazy_squashfuse.sqfs_read_range
#define stfs_ll_op_statfs lazy_squashfuse.stfs_ll_op_statfs
#define fuse_reply_attr lazy_squashfuse.fuse_reply_attr
#define fuse_reply_buf lazy_squashfuse.fuse_reply_buf
#define fuse_reply_entry lazy_squashfuse.fuse_reply_entry
#define fuse_reply_err lazy_squashfuse.fuse_reply_err
#define fuse_req_userdata lazy_squashfuse.fuse_req_userdata
#define fuse_session_loop lazy_squashfuse.fuse_session_loop
#define fuse_session_mount lazy_squashfuse.fuse_session_mount
#define fuse_session_new lazy_squashfuse.fuse_session_new

#endif
