# CT_GNU11: the compiler's words for C11 with GNU extensions, whatever newer
# standard it would take by itself.
AC_DEFUN([CT_GNU11], [CT_TRY_FLAG([-std=gnu11], [CC="$CC -std=gnu11"],
  [AC_MSG_ERROR([$CC does not know -std=gnu11])])])

# CT_TRY_FLAG(FLAG, IF-YES, IF-NO): clang only warns of an unknown -W.
AC_DEFUN([CT_TRY_FLAG], [
  AC_MSG_CHECKING([whether $CC takes $1])
  ct_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $1"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [ct_ok=yes], [ct_ok=no])
  CFLAGS=$ct_save_CFLAGS
  AC_MSG_RESULT([$ct_ok])
  AS_IF([test $ct_ok = yes], [$2], [$3])
])

# CT_WARNINGS: WARN_CFLAGS. --enable-werror makes them errors.
AC_DEFUN([CT_WARNINGS], [
  AC_ARG_ENABLE([werror],
    [AS_HELP_STRING([--enable-werror], [warnings are errors])],
    [], [enable_werror=no])
  WARN_CFLAGS=
  m4_foreach_w([ct_flag],
    [-Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes
     -Wformat=2],
    [CT_TRY_FLAG(ct_flag, [WARN_CFLAGS="$WARN_CFLAGS ct_flag"])])
  AS_IF([test "$enable_werror" = yes],
    [WARN_CFLAGS="$WARN_CFLAGS -Werror"
     CT_NOTE([warnings], [are errors])])
  AC_SUBST([WARN_CFLAGS])
])
