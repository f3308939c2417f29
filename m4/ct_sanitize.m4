# CT_SANITIZE: --enable-sanitizers builds all with ASan and UBSan.
AC_DEFUN([CT_SANITIZE], [
  AC_ARG_ENABLE([sanitizers],
    [AS_HELP_STRING([--enable-sanitizers], [build with ASan and UBSan])],
    [], [enable_sanitizers=no])
  SAN_CFLAGS=
  AS_IF([test "$enable_sanitizers" = yes], [
    SAN_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all"
    SAN_CFLAGS="$SAN_CFLAGS -fno-omit-frame-pointer"
    ct_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS $SAN_CFLAGS"
    AC_MSG_CHECKING([whether $CC has ASan and UBSan])
    AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes])],
      [AC_MSG_RESULT([no])
       AC_MSG_ERROR([--enable-sanitizers: $CC cannot])])
    CFLAGS=$ct_save_CFLAGS
    CT_NOTE([sanitizers], [ASan, UBSan])
  ])
  AC_SUBST([SAN_CFLAGS])
  AM_CONDITIONAL([SANITIZERS], [test "$enable_sanitizers" = yes])
])
