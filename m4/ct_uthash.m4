# uthash: hash tables, a header alone, without a pkg-config file in Debian.
AC_DEFUN([CT_UTHASH], [
  AC_CHECK_HEADER([uthash.h], [CT_NOTE([uthash], [yes: hash tables])],
    [AC_MSG_ERROR([uthash is needed: hash tables. There is no uthash.h])])
])
