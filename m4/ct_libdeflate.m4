# libdeflate: unpacks zlib's format in less than half of zlib's time.
AC_DEFUN([CT_LIBDEFLATE], [
  CT_OPTIONAL([libdeflate], [LIBDEFLATE], [libdeflate],
    [quick unpacking of images, most of which zlib has packed])
  AS_IF([test $ct_have_libdeflate = yes],
    [AC_DEFINE([HAVE_LIBDEFLATE], [1], [Images are unpacked by libdeflate.])
     CT_LAZY([deflate], [libdeflate_alloc_decompressor], [$LIBDEFLATE_LIBS],
       [LIBDEFLATE_LIBRARY])])
  AM_CONDITIONAL([HAVE_LIBDEFLATE], [test $ct_have_libdeflate = yes])
])
