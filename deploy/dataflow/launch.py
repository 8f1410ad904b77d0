"""What the Flex Template's launcher runs."""

from curate.flex_template import main

main()
