# libelf (elfutils): what a program in an image needs.
AC_DEFUN([CT_LIBELF], [
  CT_REQUIRED([libelf], [LIBELF], [libelf], [ELF files of images])
])
