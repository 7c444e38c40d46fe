"""What a bug report needs: the versions, and whether everything that gapless uses works.

Faces: versions.
May import: common; gapless.extras.
"""
