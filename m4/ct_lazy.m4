# Libraries that are loaded by dlopen() when they are first used (lib/lazy).
AC_DEFUN([CT_DLOPEN], [
  AC_REQUIRE([AC_PROG_SED])
  AC_CHECK_TOOL([READELF], [readelf])
  ct_save_LIBS=$LIBS
  AC_SEARCH_LIBS([dlopen], [dl], [], [AC_MSG_ERROR([there is no dlopen()])])
  AS_IF([test "$ac_cv_search_dlopen" != "none required"],
    [DLOPEN_LIBS=$ac_cv_search_dlopen])
  LIBS=$ct_save_LIBS
  AC_SUBST([DLOPEN_LIBS])
])

# CT_LAZY(NAME, FUNCTION, LIBS, MACRO)
# MACRO becomes the file that a program linked with LIBS would load as libNAME,
# in which FUNCTION is: the linker tells what it reads.
AC_DEFUN([CT_LAZY], [
  AC_REQUIRE([CT_DLOPEN])
  AC_MSG_CHECKING([for the file of lib$1])
  AC_LANG_CONFTEST([AC_LANG_CALL([], [$2])])
  ct_file=`$CC $CFLAGS $LDFLAGS -o conftest$EXEEXT conftest.$ac_ext $3 -Wl,-t \
    2>&1 | $SED -n 's,.*[[( ]]\(/.*\),\1,; s,[[)]]$,,; \,/lib$1[[.]]so,{p;q;}'`
  ct_soname=`$READELF -d "$ct_file" 2>&AS_MESSAGE_LOG_FD |
    $SED -n 's/.*SONAME.*\[[\(.*\)\]].*/\1/p'`
  AS_IF([test -z "$ct_soname"],
    [AC_MSG_RESULT([not found])
     AC_MSG_ERROR([cannot link with lib$1, or cannot tell its soname])])
  ct_file=`cd "${ct_file%/*}" && pwd`/$ct_soname
  AC_MSG_RESULT([$ct_file])
  AC_DEFINE_UNQUOTED([$4], ["$ct_file"], [What dlopen() is given for lib$1.])
])
