# libsquashfuse_ll and the libfuse that it was built for: image mounts.
AC_DEFUN([CT_SQUASHFUSE], [
  CT_REQUIRED([squashfuse], [SQUASHFUSE], [squashfuse_ll fuse3 >= 3.2],
    [image mounts])
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
