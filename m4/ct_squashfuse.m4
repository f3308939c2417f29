# libsquashfuse_ll and the libfuse that it was built for: image mounts. Without
# them images can only be directories, so that must be asked for.
AC_DEFUN([CT_SQUASHFUSE], [
  AC_ARG_WITH([squashfuse],
    [AS_HELP_STRING([--without-squashfuse],
       [run images from directories alone, not from SIF and squashfs files])])
  AS_IF([test "x$with_squashfuse" = xno],
    [CT_NOTE([squashfuse], [no (--without-squashfuse): images are directories])],
    [CT_REQUIRED([squashfuse], [SQUASHFUSE], [squashfuse_ll fuse3 >= 3.2],
       [image mounts (--without-squashfuse: directories alone)])
     CT_SQUASHFUSE_FUSE3
     CT_LAZY([squashfuse_ll], [sqfs_ll_init], [$SQUASHFUSE_LIBS],
       [SQUASHFUSE_LIBRARY])
     AC_DEFINE([HAVE_SQUASHFUSE], [1], [Image files can be mounted.])])
  AM_CONDITIONAL([HAVE_SQUASHFUSE], [test "x$with_squashfuse" != xno])
])

AC_DEFUN([CT_SQUASHFUSE_FUSE3], [
  ct_save_CPPFLAGS=$CPPFLAGS
  CPPFLAGS="$CPPFLAGS $SQUASHFUSE_CFLAGS"
  AC_MSG_CHECKING([whether squashfuse is one for libfuse 3])
  AC_COMPILE_IFELSE([AC_LANG_SOURCE([
#include <squashfuse/ll.h>
#if FUSE_USE_VERSION < 30
#error "built for libfuse 2"
#endif
])],
    [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([squashfuse must have been built with libfuse 3])])
  CPPFLAGS=$ct_save_CPPFLAGS
])
