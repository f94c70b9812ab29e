/** Which files are samples, by name. Apart from their reading: a build that has nothing to do loads no decoder. */

export const PICTURE_FILE = /\.(jpe?g|jfif|png|webp|bmp)$/i
export const ARRAY_FILE = /\.(npy|npz)$/i

/** Whether a file of this name can be a sample: a picture, or arrays that are already preprocessed. */
export const isSampleFile = (name: string): boolean => PICTURE_FILE.test(name) || ARRAY_FILE.test(name)
